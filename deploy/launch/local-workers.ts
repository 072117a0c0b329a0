// Worker processes on this machine (I/O): spawned, their logs passed on with a prefix, their ends reported. None outlives
// the parent: the worker exits when its channel to the parent closes, which the kernel does even after a SIGKILL.

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../src/platform/package-root.ts';

/** Workers that were told of the end go by themselves within this, in milliseconds; the rest are signalled. */
const farewellMs = 500;
const stopGraceMs = 3000;

export interface LocalWorkersOptions {
  readonly count: number;
  /** ws://127.0.0.1:PORT of the coordinator. */
  readonly joinUrl: string;
  /** Given to the workers by the environment, where other users of the machine cannot read it. */
  readonly token: string | undefined;
  readonly threads: number;
  readonly backend: string | undefined;
  /** A line that a worker wrote; `worker` counts from 1. */
  readonly onLine: (worker: number, line: string) => void;
  readonly onExit: (exit: LocalWorkerExit) => void;
}

export interface LocalWorkerExit {
  /** From 1. */
  readonly worker: number;
  readonly pid: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Its last line on stderr, which is the error where there was one. */
  readonly lastLine: string;
}

export interface LocalWorkers {
  readonly pids: readonly number[];
  /** Starts another process in place of one that ended. */
  restart(worker: number): void;
  /** All have ended. */
  readonly ended: Promise<readonly LocalWorkerExit[]>;
  /** Gives those still running a moment, asks them to end, then makes them; resolves when all have. */
  stop(): Promise<readonly LocalWorkerExit[]>;
}

/** Starts `count` workers that join the coordinator at `joinUrl`. */
export function startLocalWorkers(options: LocalWorkersOptions): LocalWorkers {
  const children = Array.from({ length: options.count }, (_, index) => spawnWorker(options, index + 1));
  let stopping = false;
  return {
    get pids() {
      return children.map(({ child }) => child.pid ?? 0);
    },
    get ended() {
      return Promise.all(children.map(({ exit }) => exit));
    },
    restart(worker) {
      if (!stopping) children[worker - 1] = spawnWorker(options, worker);
    },
    async stop() {
      stopping = true;
      const ended = Promise.all(children.map(({ exit }) => exit));
      const running = (): SpawnedWorker[] =>
        children.filter(({ child }) => child.exitCode === null && child.signalCode === null);
      const signalAfter = (ms: number, signal: NodeJS.Signals): NodeJS.Timeout =>
        setTimeout(() => {
          for (const { child } of running()) child.kill(signal);
        }, ms);
      const timers = [signalAfter(farewellMs, 'SIGTERM'), signalAfter(farewellMs + stopGraceMs, 'SIGKILL')];
      try {
        return await ended;
      } finally {
        for (const timer of timers) clearTimeout(timer);
      }
    },
  };
}

interface SpawnedWorker {
  readonly child: ChildProcess;
  readonly exit: Promise<LocalWorkerExit>;
}

function spawnWorker(options: LocalWorkersOptions, worker: number): SpawnedWorker {
  const { joinUrl, threads, backend, token } = options;
  const entry = join(packageRoot(), 'dist', 'deploy', 'cli', 'main.js');
  const args = [entry, 'worker', '--join', joinUrl, '--threads', `${threads}`];
  if (backend !== undefined) args.push('--backend', backend);
  const { LOCKSTEP_TOKEN: _, ...environment } = process.env;
  const child = spawn(process.execPath, args, {
    env: token === undefined ? environment : { ...environment, LOCKSTEP_TOKEN: token },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let lastLine = '';
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lastLine = line;
      options.onLine(worker, line);
    });
  }
  return { child, exit: exitOf(child, worker, () => lastLine, options.onExit) };
}

function exitOf(
  child: ChildProcess,
  worker: number,
  lastLine: () => string,
  onExit: (exit: LocalWorkerExit) => void,
): Promise<LocalWorkerExit> {
  return new Promise((resolve) => {
    let over = false;
    const end = (code: number | null, signal: NodeJS.Signals | null, line: string): void => {
      if (over) return;
      over = true;
      const exit = { worker, pid: child.pid ?? 0, code, signal, lastLine: line };
      onExit(exit);
      resolve(exit);
    };
    // 'close' rather than 'exit': by then the last line has been read.
    child.once('close', (code, signal) => end(code, signal, lastLine()));
    child.once('error', (error) => end(1, null, error.message));
  });
}

/**
 * In a worker that startLocalWorkers spawned: calls `onOrphaned` when the parent is gone, and leaves Ctrl-C, and the
 * hangup, which a terminal sends to every process, to the parent. Does nothing in a worker started by hand.
 */
export function followParent(onOrphaned: () => void): boolean {
  if (process.channel === undefined || process.channel === null) return false;
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.once('disconnect', onOrphaned);
  process.channel.unref();
  return true;
}
