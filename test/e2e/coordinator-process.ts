// For end-to-end tests: `lockstep coordinator` as a process of its own, up to where it listens.

import { type ChildProcess, spawn } from 'node:child_process';
import { cleanEnvironment, commandLine, type Outcome, withOpenFiles } from './command-line.ts';

export interface CoordinatorProcess {
  readonly child: ChildProcess;
  /** As it told it: ws://HOST:PORT or wss://HOST:PORT. */
  readonly url: string;
  readonly port: number;
  readonly ended: Promise<Outcome>;
  /** Everything it said so far, on both streams. */
  output(): string;
}

/** Resolves when it listens, at a free port of loopback; rejects when it ends before. `onSpawn` is for cleaning up. */
export async function startCoordinatorProcess(
  args: readonly string[],
  settings: {
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
    readonly onSpawn: (child: ChildProcess) => void;
    /** The process's limit of open files. */
    readonly openFiles?: number;
  },
): Promise<CoordinatorProcess> {
  const [program, ...before] =
    settings.openFiles === undefined ? commandLine : withOpenFiles(settings.openFiles);
  const child = spawn(program, [...before, 'coordinator', ...args, '--listen', '127.0.0.1:0', '--json'], {
    cwd: settings.cwd,
    env: { ...cleanEnvironment(), ...settings.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  settings.onSpawn(child);
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr, seconds: 0 }));
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const found = /"url":"(wss?:\/\/127\.0\.0\.1:\d+)"/.exec(stdout);
      if (found) resolve(found[1]!);
    });
    child.once('close', () => reject(new Error(`the coordinator ended: ${stderr}`)));
  });
  return { child, url, port: Number(new URL(url).port), ended, output: () => stdout + stderr };
}
