// All-reduce between processes of this machine, ours and gloo's (where a Python with torch is found), in one run.
// bench/all-reduce alone: node dist/bench/all-reduce/bench.js [processes ...]; prints JSON lines.

import { type ChildProcess, execFile, fork } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Token, tokenVariable } from '../../proto/transport/token.ts';
import { packageRoot } from '../../src/platform/package-root.ts';
import { allRounds, type FromProcess, type Round, type ToProcess } from './rounds.ts';

export interface AllReduceRow {
  readonly workload: string;
  readonly processes: number;
  readonly bytes: number;
  /** Medians. */
  readonly ms: number;
  readonly busGigabytesPerSecond: number;
  /** Null where gloo is not to be had. */
  readonly glooMs: number | null;
  readonly glooBusGigabytesPerSecond: number | null;
  /** gloo's time through ours. */
  readonly ratio: number | null;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Ours: medians in ms, by round. Each process checks its sums; throws where one ends badly. */
export async function measureAllReduce(processes: number, rounds: readonly Round[]): Promise<number[]> {
  const token = Token.generate();
  const env = { ...process.env, [tokenVariable]: token.reveal() };
  const children = Array.from({ length: processes }, () =>
    fork(join(packageRoot(), 'dist/bench/all-reduce/process.js'), {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  );
  try {
    const ports = await Promise.all(children.map(listeningPort));
    const medians = new Array<number>(rounds.length).fill(Number.NaN);
    children[0]!.on('message', (message: FromProcess) => {
      if (message.is === 'measured') medians[message.index] = median(message.milliseconds);
    });
    const finished = children.map(
      (child) =>
        new Promise<void>((resolve) => {
          child.on('message', (message: FromProcess) => {
            if (message.is === 'finished') resolve();
          });
        }),
    );
    const ended = children.map(
      (child) =>
        new Promise<void>((resolve, reject) => {
          child.on('exit', (code) =>
            code === 0 ? resolve() : reject(new Error(`a benchmark process ended with ${code}`)),
          );
        }),
    );
    children.forEach((child, rank) => {
      child.send({ ports, rank, rounds } satisfies ToProcess);
    });
    await Promise.race([Promise.all(finished), Promise.all(ended)]);
    for (const child of children) child.disconnect();
    await Promise.all(ended);
    return medians;
  } finally {
    for (const child of children) child.kill();
  }
}

function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('message', (message: FromProcess) => {
      if (message.is === 'listening') resolve(message.port);
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error('a benchmark process ended before it listened')));
  });
}

/** The same from gloo; null without Python or torch. */
function gloo(processes: number, rounds: readonly Round[]): Promise<number[] | null> {
  const script = join(packageRoot(), 'bench/all-reduce/gloo.py');
  const python = process.env.PYTHON ?? '/usr/bin/python3';
  return new Promise((resolve) => {
    execFile(python, [script, String(processes), JSON.stringify(rounds)], (error, stdout) => {
      const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
      if (error || lines.length !== rounds.length) resolve(null);
      else
        resolve(lines.map((line) => median((JSON.parse(line) as { milliseconds: number[] }).milliseconds)));
    });
  });
}

function row(round: Round, processes: number, ms: number, glooMs: number | null): AllReduceRow {
  const busBytes = (2 * (processes - 1) * round.bytes) / processes;
  const rate = (time: number): number => busBytes / time / 1e6;
  return {
    workload: `all-reduce ${round.name}`,
    processes,
    bytes: round.bytes,
    ms,
    busGigabytesPerSecond: rate(ms),
    glooMs,
    glooBusGigabytesPerSecond: glooMs === null ? null : rate(glooMs),
    ratio: glooMs === null ? null : glooMs / ms,
  };
}

/** A row for each size and number of processes, ours beside gloo's. */
export async function benchAllReduce(
  processCounts: readonly number[] = [2, 4],
  rounds: readonly Round[] = allRounds,
): Promise<AllReduceRow[]> {
  const rows: AllReduceRow[] = [];
  for (const processes of processCounts) {
    const own = await measureAllReduce(processes, rounds);
    const theirs = await gloo(processes, rounds);
    rounds.forEach((round, i) => {
      rows.push(row(round, processes, own[i]!, theirs?.[i] ?? null));
    });
  }
  return rows;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const counts = process.argv.slice(2).map(Number);
  for (const line of await benchAllReduce(counts.length > 0 ? counts : [2, 4]))
    process.stdout.write(`${JSON.stringify(line)}\n`);
}
