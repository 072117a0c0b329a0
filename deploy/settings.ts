// The settings of train(), checked once by a schema, as a config is. Pure.

import { z } from 'zod';
import { explainIssues, show } from '../src/config/issues.ts';
import type { RunEvent, StopSignal } from '../src/engine/events.ts';
import { LockstepError } from '../src/errors.ts';
import type { BackendName } from '../src/kernels/backend.ts';
import { backends, threadsMax, workersMax } from './cli/options.ts';

/** A setting that is undefined is one that was not given. */
export interface TrainSettings {
  /** Worker processes; 0 (the default) computes in this process. */
  readonly workers?: number | undefined;
  /** Compute threads of each worker; the cores shared out, unless given. */
  readonly threads?: number | undefined;
  /** The default is native where it is built, else wasm. */
  readonly backend?: BackendName | undefined;
  /** Directory of data files named in the config; the working directory unless given. */
  readonly data?: string | undefined;
  /** Directory for checkpoints; runs/NAME unless given. */
  readonly out?: string | undefined;
  /** Go on from the newest good checkpoint in `out`. */
  readonly resume?: boolean | undefined;
  /** Stop, with a checkpoint, once this many steps are committed. */
  readonly stopAfterStep?: number | undefined;
  /**
   * Called with each event. Training does not wait for a promise that it returns, but `train` does before it settles. What it
   * throws, or what its promise rejects with, stops the run with a checkpoint and is then thrown by `train`.
   */
  readonly onEvent?: ((event: RunEvent) => unknown) | undefined;
  /** Asks the run to stop: it finishes the step in flight and writes a checkpoint. */
  readonly signal?: AbortSignal | StopSignal | undefined;
}

const path = z.string().regex(/^[^\0]+$/, 'expected a path');

const custom = <T>(isOne: (value: unknown) => boolean, expected: string) =>
  z.custom<T>(isOne, { error: ({ input }) => `expected ${expected}, got ${show(input)}` });

const settingsSchema = z.strictObject({
  workers: z.int().min(0).max(workersMax).optional(),
  threads: z.int().min(1).max(threadsMax).optional(),
  backend: z.enum(backends).optional(),
  data: path.optional(),
  out: path.optional(),
  resume: z.boolean().optional(),
  stopAfterStep: z.int().min(1).optional(),
  onEvent: custom<(event: RunEvent) => unknown>(
    (value) => typeof value === 'function',
    'a function',
  ).optional(),
  signal: custom<AbortSignal | StopSignal>(isSignal, 'an AbortSignal or a StopSignal').optional(),
}) satisfies z.ZodType<TrainSettings>;

/** Messages name a setting as the caller wrote it: `settings.workers`. */
const callSchema = z.strictObject({ settings: settingsSchema });

/** Throws LOCKSTEP_USAGE, with one line that names the setting, what is wrong with it and the nearest valid one. */
export function checkSettings(given: unknown): TrainSettings {
  const call = { settings: given };
  try {
    const result = callSchema.safeParse(call, { jitless: true });
    if (result.success) return result.data.settings;
    throw new LockstepError('LOCKSTEP_USAGE', explainIssues(result.error.issues, callSchema, call));
  } catch (error) {
    if (error instanceof LockstepError) throw error;
    throw unreadable('settings', error);
  }
}

/** An object whose properties throw when they are read. */
export function unreadable(what: string, cause: unknown): LockstepError {
  const reason = cause instanceof Error ? cause.message : show(cause);
  return new LockstepError('LOCKSTEP_USAGE', `${what}: cannot be read: ${reason}`, { cause });
}

function isSignal(value: unknown): boolean {
  if (value instanceof AbortSignal) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { onStop, stopRequested } = value as Partial<StopSignal>;
  return typeof onStop === 'function' && typeof stopRequested === 'boolean';
}
