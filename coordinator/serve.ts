// The coordinator's run (I/O): finds the checkpoint to go on from, and gives a session to listen with or to join in
// this process. How workers come to be is the caller's.

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { limits } from '../proto/limits.ts';
import type { Listener } from '../proto/transport/server.ts';
import { listen } from '../proto/transport/server.ts';
import type { TlsIdentity } from '../proto/transport/tls.ts';
import type { Token } from '../proto/transport/token.ts';
import { coordinatorPath } from '../proto/version.ts';
import { type FoundCheckpoint, firstOf, searchCheckpoints } from '../src/checkpoint/store.ts';
import { weightsSha256 } from '../src/checkpoint/weights-hash.ts';
import type { RunConfig } from '../src/config/schema.ts';
import type { TrainingData } from '../src/data/dataset.ts';
import type { RunEvent, RunResult } from '../src/engine/events.ts';
import { asLockstepError, LockstepError } from '../src/errors.ts';
import { machineMemory } from '../src/platform/machine-memory.ts';
import { checkRun } from './checks/run-checks.ts';
import { Journal } from './journal.ts';
import { checkSameRun, identityOf } from './run-identity.ts';
import { planRun, type RunPlan } from './run-plan.ts';
import { CoordinatorSession } from './session.ts';

export interface OpenRunOptions {
  readonly config: RunConfig;
  readonly dataset: TrainingData;
  readonly out: string;
  readonly resume: boolean;
  /** Worker processes; 0: one worker inside of this process. */
  readonly workers: number;
  /** Threads of each worker; left out where the workers are not on this machine. */
  readonly threads?: number;
  /** With fewer the run pauses. */
  readonly workersMin?: number;
  /** Workers may be left of the coordinator before. */
  readonly membersComeBack?: boolean;
  readonly stopAfterStep: number | undefined;
  readonly onEvent: (event: RunEvent) => void;
}

/** A session ready for its workers, or the result of a run that has come to its end before. */
export type OpenedRun =
  | { readonly is: 'open'; readonly session: CoordinatorSession }
  | { readonly is: 'over'; readonly result: RunResult };

/** Throws where config, data and checkpoint do not fit each other. */
export async function openRun(options: OpenRunOptions): Promise<OpenedRun> {
  const { workers, onEvent } = options;
  const plan = planRun(options);
  const { out, resume } = options;
  if (resume && !existsSync(out)) throw nothingToResume(out);
  // Nobody else writes checkpoints from here on.
  const journal = Journal.open(out);
  let isLed = false;
  try {
    const found = resume ? await checkpointToResume(options, journal) : null;
    const from = found?.checkpoint ?? null;
    const identity = identityOf(options);
    checkSameRun(out, identity, journal, from);
    if (from !== null && from.step > plan.endStep) {
      throw new LockstepError(
        'LOCKSTEP_CHECKPOINT_MISMATCH',
        `the checkpoint is at step ${from.step}, beyond step ${plan.endStep}, where this run is to end`,
      );
    }
    // Workers that may come back have not been told of the end, unless the journal says so.
    const nobodyWaits = options.membersComeBack !== true || journal.endedStep === from?.step;
    if (found !== null && from?.step === plan.endStep && nobodyWaits) {
      return { is: 'over', result: await resultOf(found, plan, onEvent) };
    }
    const warnings = checkRun({
      plan,
      resumes: resume,
      threads: options.threads ?? null,
      machine: machineMemory(),
    });
    journal.begin(identity);
    if (found !== null) journal.keepsIn(dirname(found.path));
    else if (resume && journal.generation > 0) tellSeed(options);
    for (const message of warnings) onEvent({ event: 'notice', message: `warning: ${message}` });
    const session = new CoordinatorSession({
      plan,
      workersWanted: Math.max(1, workers),
      workersMin: options.workersMin ?? 1,
      journal,
      membersComeBack: options.membersComeBack ?? false,
      from,
      onEvent,
    });
    session.result.finally(() => journal.close()).catch(() => undefined);
    isLed = true;
    return { is: 'open', session };
  } finally {
    if (!isLed) journal.close();
  }
}

async function resultOf(
  { checkpoint, path }: FoundCheckpoint,
  { facts }: RunPlan,
  onEvent: (event: RunEvent) => void,
): Promise<RunResult> {
  const { step, parameters, statistics, metrics } = checkpoint;
  const { steps } = facts.cadence;
  const message =
    step === steps
      ? `the run is finished already: all ${steps} steps are taken`
      : `step ${step} is reached already; leave out --stop-after to go on to step ${steps}`;
  onEvent({ event: 'notice', message });
  return {
    steps: step,
    weightsSha256: await weightsSha256(parameters, statistics),
    metrics,
    checkpoint: path,
    stopped: step < steps,
  };
}

async function checkpointToResume(
  { out, onEvent }: OpenRunOptions,
  { isBegun, hadCheckpoint }: Journal,
): Promise<FoundCheckpoint | null> {
  const found = await searchCheckpoints(out);
  const { checkpoint, skipped } = found;
  if (checkpoint === null && !isBegun) throw nothingToResume(out, skipped);
  if (checkpoint === null && hadCheckpoint) throw lost(out, skipped);
  for (const line of skipped) onEvent({ event: 'notice', message: `skipped a checkpoint: ${line}` });
  return checkpoint === null ? null : found;
}

function tellSeed({ onEvent, membersComeBack }: OpenRunOptions): void {
  const unless = membersComeBack === true ? ', unless workers come back that are further on' : '';
  const message = `no checkpoint of this run was finished: it starts from its seed${unless}`;
  onEvent({ event: 'notice', message });
}

const afterColon = (skipped: readonly string[]): string =>
  skipped.length === 0 ? '' : `: ${firstOf(skipped)}`;

function nothingToResume(out: string, skipped: readonly string[] = []): LockstepError {
  const message = `${out}: there is no checkpoint to resume from${afterColon(skipped)}`;
  return new LockstepError('LOCKSTEP_CHECKPOINT_NOT_FOUND', message);
}

/** It is not trained over: whoever deleted a small file may still have what matters. */
function lost(out: string, skipped: readonly string[]): LockstepError {
  const message =
    `${out}: its journal says that the run had a finished checkpoint, but there is none${afterColon(skipped)}; ` +
    'bring back what was deleted (each .safetensors with its .json), or train into another --out';
  return new LockstepError('LOCKSTEP_CHECKPOINT_INVALID', message);
}

/** Lets workers in by socket. Throws LOCKSTEP_PORT_IN_USE or LOCKSTEP_INSECURE. */
export async function listenForWorkers(
  session: CoordinatorSession,
  options: {
    readonly host: string;
    readonly port: number;
    readonly token: Token;
    readonly tls?: TlsIdentity | undefined;
    readonly insecure: boolean;
    /** Child processes that this process will have. */
    readonly threads?: number;
  },
): Promise<Listener> {
  try {
    return await listen({
      ...options,
      local: 'coordinator',
      path: coordinatorPath,
      roles: ['worker'],
      onConnection: (connection) => {
        if (session.connections < limits.workersMax) session.accept(connection);
        else connection.destroy();
      },
    });
  } catch (error) {
    throw asLockstepError(error);
  }
}
