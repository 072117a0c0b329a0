// The functions behind train, coordinator and worker (I/O): coordinator and workers put together.

import { networkInterfaces } from 'node:os';
import { hasMembership } from '../../coordinator/journal.ts';
import { listenForWorkers, openRun } from '../../coordinator/serve.ts';
import type { CoordinatorSession } from '../../coordinator/session.ts';
import { memoryPair } from '../../proto/transport/link.ts';
import { isLoopback } from '../../proto/transport/loopback.ts';
import { Token } from '../../proto/transport/token.ts';
import type { RunEvent, RunResult } from '../../src/engine/events.ts';
import { asLockstepError, LockstepError } from '../../src/errors.ts';
import { selectBackend } from '../../src/kernels/select.ts';
import { joinRun, runInProcess } from '../../worker/run.ts';
import { type LocalWorkerExit, type LocalWorkers, startLocalWorkers } from '../launch/local-workers.ts';
import { type Callbacks, withCallbacks } from './callbacks.ts';
import { joinUrlOf } from './join-url.ts';
import type {
  CoordinatorOptions,
  OnEvent,
  RunApi,
  TrainOptions,
  WorkerOptions,
  WorkerResult,
} from './run-api.ts';
import { forgetToken, type RunToken, tokenOfRun } from './run-token.ts';

const notice = (onEvent: OnEvent, message: string): void =>
  onEvent({ event: 'notice', message } satisfies RunEvent);

function trainCluster(asked: TrainOptions): Promise<RunResult> {
  return withCallbacks(asked, async (callbacks) => {
    // Before there is anything to clean up, and with the exit code that it would have in a worker process.
    if (asked.backend !== undefined) selectBackend(asked.backend);
    const options = { ...asked, onEvent: callbacks.onEvent };
    const run = await openRun(options);
    if (run.is === 'over') return run.result;
    const { session } = run;
    try {
      callbacks.onStop(() => session.stop());
      return await (options.workers === 0
        ? trainHere(options, session)
        : trainWithProcesses(options, session));
    } catch (error) {
      await letGo(session, error);
      throw error;
    }
  });
}

/** Whatever came in between: the lock of the run goes, and its journal where nobody ever joined. */
async function letGo(session: CoordinatorSession, error: unknown): Promise<void> {
  const { code, message } = asLockstepError(error);
  session.fail(code, message);
  await session.result.catch(() => undefined);
}

/** Coordinator and the only worker in this process. */
async function trainHere(
  { threads, backend, dataset, onEvent }: TrainOptions,
  session: CoordinatorSession,
): Promise<RunResult> {
  const pair = memoryPair();
  session.accept(pair.coordinator);
  const worker = runInProcess({
    link: pair.worker,
    threads,
    backend,
    dataset,
    onNotice: (line) => notice(onEvent, line),
  });
  const ended = worker.catch((error: unknown) => {
    // What the worker could not tell the coordinator: it never got as far as to say hello.
    const { code, message } = asLockstepError(error);
    session.fail(code, message);
    throw error;
  });
  const [result, worked] = await Promise.allSettled([session.result, ended]);
  if (result.status === 'rejected') throw result.reason;
  if (worked.status === 'rejected') throw worked.reason;
  return result.value;
}

async function trainWithProcesses(options: TrainOptions, session: CoordinatorSession): Promise<RunResult> {
  const { workers, threads, backend, onEvent } = options;
  const token = Token.generate();
  const address = { host: '127.0.0.1', port: 0 };
  const listener = await listenForWorkers(session, { ...address, token, insecure: false, threads: workers });
  let processes: LocalWorkers | null = null;
  const restarts = new Restarts();
  let isOver = false;
  try {
    processes = startLocalWorkers({
      count: workers,
      joinUrl: `ws://127.0.0.1:${listener.port}`,
      token: token.reveal(),
      threads,
      backend,
      onLine: (worker, line) => notice(onEvent, `worker ${worker}: ${line}`),
      onExit: (exit) => {
        if (exit.code === 0 || isOver) return;
        if (exit.signal === null || !restarts.allow(exit.worker)) {
          session.processEnded(describeExit(exit));
          return;
        }
        notice(onEvent, `${describeExit(exit)}; another takes its place`);
        processes?.restart(exit.worker);
      },
    });
    return await session.result;
  } finally {
    isOver = true;
    await processes?.stop();
    await listener.close();
  }
}

/** A worker that was killed is replaced; one that is killed again and again at once is not. */
class Restarts {
  readonly #quick = new Map<number, { readonly count: number; readonly atMs: number }>();

  allow(worker: number): boolean {
    const atMs = performance.now();
    const before = this.#quick.get(worker);
    const count = before !== undefined && atMs - before.atMs < quickMs ? before.count + 1 : 1;
    this.#quick.set(worker, { count, atMs });
    return count <= quickRestartsMax;
  }
}

/** Ends of one worker closer together than this count against it, in milliseconds. */
const quickMs = 1_000;
const quickRestartsMax = 5;

function describeExit({ worker, code, signal, lastLine }: LocalWorkerExit): string {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  const text = lastLine.replace(/^error: /, '');
  return `worker process ${worker} ended with ${how}${text && `: ${text}`}`;
}

function serveCoordinator(asked: CoordinatorOptions): Promise<RunResult> {
  return withCallbacks(asked, async (callbacks) => {
    const options = { ...asked, onEvent: callbacks.onEvent };
    const run = await openRun({ ...options, membersComeBack: true });
    if (run.is === 'over') return run.result;
    const { session } = run;
    let own: RunToken | null = null;
    try {
      own = options.token === undefined ? tokenOfRun(options.out) : null;
      return await serve(options, session, own, callbacks);
    } catch (error) {
      await letGo(session, error);
      if (own?.isNew === true && !hasMembership(options.out)) forgetToken(own);
      throw error;
    }
  });
}

/** `own`: the token of the run's directory, where none was given. */
async function serve(
  options: CoordinatorOptions,
  session: CoordinatorSession,
  own: RunToken | null,
  callbacks: Callbacks,
): Promise<RunResult> {
  const { listen, insecure, tls, onEvent } = options;
  const token = own?.token ?? parseToken(options.token ?? '');
  const listener = await listenForWorkers(session, { ...listen, token, insecure, tls });
  const scheme = tls?.cert === undefined ? 'ws' : 'wss';
  const address = { host: listen.host, port: listener.port };
  const { url, isAny } = joinUrlOf(scheme, address, networkInterfaces());
  try {
    onEvent({ event: 'listening', url, isAny });
    if (own !== null) {
      const open = insecure && scheme === 'ws' ? ' --insecure' : '';
      const join = `lockstep worker --join ${url}${open} --token-file ${own.file}`;
      const elsewhere = isLoopback(listen.host)
        ? ''
        : ' (on another machine with a copy of that file, and --listen with an address of that machine)';
      const which = own.isNew
        ? 'no token was given, so one was made'
        : `the token of this run, from ${own.file}`;
      notice(onEvent, `${which}; workers join by: ${join}${elsewhere}`);
    }
    callbacks.onStop(() => session.stop());
    return await session.result;
  } finally {
    await listener.close();
  }
}

function parseToken(text: string): Token {
  try {
    return Token.parse(text, 'LOCKSTEP_TOKEN or the token file');
  } catch (error) {
    throw asLockstepError(error);
  }
}

/** For a coordinator that is not there yet, in milliseconds. */
const waitMsDefault = 30_000;

async function runWorker(options: WorkerOptions): Promise<WorkerResult> {
  if (options.token === undefined) {
    throw new LockstepError(
      'LOCKSTEP_UNAUTHORIZED',
      'a worker needs the token of its coordinator: give --token-file FILE, or set LOCKSTEP_TOKEN',
    );
  }
  const { onEvent, waitMs = waitMsDefault } = options;
  const onNotice = (line: string): void => notice(onEvent, line);
  return joinRun({ ...options, waitMs, token: parseToken(options.token), onNotice });
}

export const runFunctions: RunApi = { trainCluster, serveCoordinator, runWorker };
