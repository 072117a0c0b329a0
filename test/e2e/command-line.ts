// For end-to-end tests: runs the built command line as a user does, in an empty directory of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));
export const entry = join(repositoryRoot, 'dist', 'deploy', 'cli', 'main.js');

export const commandLine = [process.execPath, entry] as const;

/** The command line under a limit of open files. */
export function withOpenFiles(count: number): readonly [string, ...string[]] {
  return ['bash', '-c', `ulimit -n ${count} && exec "$0" "$@"`, ...commandLine];
}

export interface Outcome {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

export interface RunSettings {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with everything stderr and stdout said so far, whenever there is more; may end the process by `kill`. */
  readonly onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
  /** What runs in place of the command line. */
  readonly command?: readonly [string, ...string[]];
  readonly onSpawn?: (child: ChildProcess) => void;
}

/** Environment without the settings of whoever runs the tests. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(LOCKSTEP_|npm_|VITEST|NODE_ENV|NODE_OPTIONS)/.test(name),
  );
  return Object.fromEntries(entries);
}

export function lockstep(args: readonly string[], settings: RunSettings): Promise<Outcome> {
  const [program, ...before] = settings.command ?? commandLine;
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...before, ...args], {
      cwd: settings.cwd,
      env: { ...cleanEnvironment(), ...settings.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    settings.onSpawn?.(child);
    let stdout = '';
    let stderr = '';
    const told = (): void => settings.onOutput?.(stderr + stdout, (signal) => void child.kill(signal));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      told();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      told();
    });
    child.once('error', reject);
    child.once('close', (exitCode) => {
      resolve({ exitCode, stdout, stderr, seconds: (performance.now() - started) / 1000 });
    });
  });
}

/** A port of loopback at which nobody listens. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A new empty directory, and how to be rid of it. */
export function temporaryDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'lockstep-e2e-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The `done` event that ends the NDJSON of --json. */
export function doneEvent({ stdout, stderr, exitCode }: Outcome): {
  readonly event: 'done';
  readonly steps: number;
  readonly weightsSha256: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly checkpoint: string | null;
  readonly stopped: boolean;
} {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{"event":"done"')) {
    throw new Error(`no done event at the end (exit code ${exitCode}): ${last}\n${stderr}`);
  }
  return JSON.parse(last);
}
