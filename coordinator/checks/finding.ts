// What a check before a run finds: an error, with which the run cannot be right, or a warning. Pure types.

import type { MachineMemory } from '../../src/engine/memory-budget.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { RunPlan } from '../run-plan.ts';

/** What is known of a run before its first step. */
export interface RunFacts {
  readonly plan: RunPlan;
  /** The run is resumed: the fixed part of its config cannot be changed any more. */
  readonly resumes: boolean;
  /** Threads of each worker on this machine; null where the workers are on others. */
  readonly threads: number | null;
  readonly machine: MachineMemory;
}

export type Finding =
  | { readonly is: 'error'; readonly code: ErrorCode; readonly message: string }
  | { readonly is: 'warning'; readonly message: string };

export type RunCheck = (facts: RunFacts) => Finding | null;

export const warning = (message: string): Finding => ({ is: 'warning', message });

/** What to add to a remedy that changes the fixed part of the config. */
export const anew = ({ resumes }: RunFacts): string => (resumes ? ' and train anew, into another --out' : '');

/** '1 step', '2 steps' */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
