// Runs a node program so that its n-th system call of a kind on given files ends it or fails (strace -e inject). Only calls
// on those files count, so the count is the same in every run.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** Calls of a path that saves; a kernel has several names for some. */
const saving = ['mkdir', 'openat', 'write', 'writev', 'fsync', 'close', 'link', 'rename', 'unlink'];
const reading = ['read', 'getdents64'];
const readingText = reading.join();

/** Why nothing can be injected here, or null. */
export function whyNoInjection(): string | null {
  if (process.platform !== 'linux') return `${process.platform} has no strace`;
  const inject = ['-qq', '-o', '/dev/null', '-e', 'trace=fsync', '-e', 'inject=fsync:error=EIO', 'true'];
  const probe = spawnSync('strace', inject, { encoding: 'utf8' });
  if (probe.error !== undefined) return 'strace is not installed';
  return probe.status === 0 ? null : `strace does not work here: ${probe.stderr.trim().split('\n')[0]}`;
}

export interface Call {
  readonly name: string;
  /** The file it is about, without its directory; of a rename the new name. */
  readonly file: string;
  readonly failed: boolean;
}

export interface Injection {
  readonly name: string;
  /** From 1, among the calls of that name on the files. */
  readonly at: number;
  readonly how: 'SIGKILL' | 'EIO' | 'ENOSPC';
}

export interface Traced {
  readonly lines: readonly Record<string, unknown>[];
  readonly signal: NodeJS.Signals | null;
  readonly calls: readonly Call[];
}

/** `program`: file and arguments for node. `files`: whose calls count; they need not be there yet. */
export async function traced(
  program: readonly string[],
  files: readonly string[],
  injection: Injection | null,
): Promise<Traced> {
  const place = mkdtempSync(join(tmpdir(), 'lockstep-strace-'));
  const log = join(place, 'log');
  const how = injection?.how === 'SIGKILL' ? 'signal=SIGKILL' : `error=${injection?.how}`;
  const inject = injection === null ? [] : ['-e', `inject=${injection.name}:${how}:when=${injection.at}`];
  // Faster, but it does not stop at calls in time for a signal to come before them.
  const filter = injection?.how === 'SIGKILL' ? [] : ['--seccomp-bpf'];
  const paths = files.flatMap((file) => ['-P', file]);
  const trace = ['-f', '-y', '-qq', ...filter, ...paths, '-e', `trace=${saving.join()},${readingText}`];
  const child = spawn('strace', [...trace, ...inject, '-o', log, process.execPath, ...program], {
    // strace counts calls for each thread: one thread does all work with files.
    env: { PATH: process.env.PATH, UV_THREADPOOL_SIZE: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const signal = await new Promise<NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (_, how) => resolve(how));
  });
  const calls = readFileSync(log, 'utf8').split('\n').flatMap(callOf);
  rmSync(place, { recursive: true });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return { lines: lines.map((line) => JSON.parse(line)), signal, calls };
}

/** Every call that saves, as a point to inject at; for EIO those that only read too. */
export function pointsOf(calls: readonly Call[], how: Injection['how']): Injection[] {
  const kinds = how === 'EIO' ? [...saving, ...reading] : saving;
  return kinds.flatMap((name) => {
    const count = calls.filter((call) => call.name === name).length;
    return Array.from({ length: count }, (_, i) => ({ name, at: i + 1, how }));
  });
}

function callOf(line: string): Call[] {
  const name = /^\d+\s+(\w+)\(/.exec(line)?.[1];
  if (name === undefined) return [];
  const paths = [...line.matchAll(/"([^"]*)"|\d+<([^>]*)>/g)].map((match) => match[1] ?? match[2] ?? '');
  const path = (name === 'rename' ? paths[1] : name === 'openat' ? paths.at(-1) : paths[0]) ?? '';
  return [{ name, file: basename(path), failed: line.includes('= -1 ') }];
}
