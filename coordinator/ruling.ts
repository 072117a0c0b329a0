// What follows from what members say of themselves and of each other; the machine carries it out. Types only.

import type { ErrorCode } from '../src/errors.ts';
import type { CoordinatorEffect } from './effects.ts';
import type { Decision } from './who-to-exclude.ts';
import type { Worker } from './worker-record.ts';

export type Ruling =
  | { readonly is: 'nothing' }
  /** Nothing yet. */
  | { readonly is: 'wait'; readonly effects: readonly CoordinatorEffect[] }
  /** All agree on the snapshot of this step. */
  | { readonly is: 'agreed'; readonly step: number }
  /** These told what cannot be, or compute wrongly: that is certain. */
  | { readonly is: 'wrong'; readonly ranks: readonly number[]; readonly what: string }
  | { readonly is: 'excluded'; readonly decision: Decision }
  /** They left by themselves. */
  | { readonly is: 'gone'; readonly workers: readonly Worker[]; readonly why: string }
  /** They said that the model has diverged, and the others showed that it has not. */
  | { readonly is: 'refuted'; readonly workers: readonly Worker[]; readonly why: string }
  /** The next generation decides. */
  | { readonly is: 'form'; readonly reason: string }
  /** Nobody can decide who computes wrongly. */
  | { readonly is: 'undecided'; readonly what: string; readonly step: number }
  /** The run fails. */
  | {
      readonly is: 'over';
      readonly code: ErrorCode;
      readonly message: string;
      readonly at: { readonly step: number; readonly phase: string };
    };

export const nothing: Ruling = { is: 'nothing' };
