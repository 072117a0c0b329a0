// Types of sample-checkpoint.mjs, which runs without a build. Nothing else.

import type { Checkpoint } from '../../src/checkpoint/state.ts';

export function sampleCheckpoint(step: number, letter: string): Checkpoint;
