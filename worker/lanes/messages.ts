// What the main thread and the lanes' threads tell each other. All of it is structured-clonable; tensors are never among it.

import type { LaneProgram } from '../../src/engine/contract.ts';
import type { SplitName, Splits } from '../../src/engine/lane.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { ArenaHandle, BackendName } from '../../src/kernels/backend.ts';

/** What a thread gets at its start. */
export interface LaneSetup {
  readonly backend: BackendName;
  readonly variant: string;
  /** Words by `controlWords`. */
  readonly control: SharedArrayBuffer;
}

export const controlWords = {
  /** Raised by lane 0. */
  eventsPassed: 0,
  /** Lanes that have come to be attached, since the start of the threads. */
  attaching: 1,
  size: 16,
} as const;

/** The lists of segments of a compiled model. */
export type Phase = 'step' | 'update' | 'evaluate';

export type LaneTask =
  /** Load the backend, unless it is, and take up this program in place of the one before. */
  | {
      readonly kind: 'attach';
      readonly lane: number;
      readonly program: LaneProgram;
      readonly arena: ArenaHandle;
      readonly splits: Splits;
      /** Collect garbage first. */
      readonly collect: boolean;
      /** Of `controlWords.attaching` when every thread has a task: a thread that takes two would leave another without. */
      readonly whenAll: number;
    }
  | {
      readonly kind: 'segment';
      readonly lane: number;
      readonly phase: Phase;
      readonly index: number;
      readonly table: number;
      readonly gather: SplitName | null;
    }
  | { readonly kind: 'alone'; readonly lane: number; readonly tables: readonly number[] };

/** An error does not survive the way between threads as it is. */
export interface LaneReport {
  /** Steps applied, for `alone`. */
  readonly applied: number;
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly first: boolean } | null;
}
