// A lane that runs a training step one instruction at a time and notes how long each took (I/O: a worker thread).
// Guards and events are passed over: a profile wants the whole step, whatever its numbers are.

import { parentPort, workerData } from 'node:worker_threads';
import type { CompiledModel } from '../../src/engine/contract.ts';
import { Lane, type Splits } from '../../src/engine/lane.ts';
import type { ArenaHandle, BackendName } from '../../src/kernels/backend.ts';
import { loadBackend } from '../../worker/lanes/load-backend.ts';
import { median } from '../report/statistics.ts';
import { undisturbedClock } from '../report/undisturbed-clock.ts';

export interface ProfiledLane {
  readonly compiled: CompiledModel;
  readonly backend: BackendName;
  readonly variant: string;
  readonly arena: ArenaHandle;
  readonly splits: Splits;
  readonly lane: number;
  /** First and last word + 1 of each instruction. */
  readonly instructions: readonly (readonly [from: number, to: number])[];
  /** A step table for each step. */
  readonly tables: readonly number[];
  /** [steps][1 + instructions] milliseconds: taking the samples first, then each instruction. */
  readonly times: Float64Array;
}

const { compiled, backend, variant, arena, splits, lane, instructions, tables, times } =
  workerData as ProfiledLane;
const runner = loadBackend(backend, variant).attach(arena, lane);
const taker = new Lane(compiled, runner, lane, splits);

const clock = undisturbedClock();
/** What two readings of the clock take. */
const readingMs = median(Array.from({ length: 300 }, () => -clock() + clock()));
let at = 0;

function timed(work: () => void): void {
  const before = clock();
  work();
  times[at] = Math.max(0, clock() - before - readingMs);
  at += 1;
}

for (const table of tables) {
  timed(() => taker.run({ segment: { stretches: [] }, table, gather: 'train' }, () => {}));
  for (const [from, to] of instructions) timed(() => runner.run(from, to, table));
}
parentPort!.postMessage('done');
