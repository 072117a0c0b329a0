// Child processes of the benches (I/O): run to their end, their lines read.

import { spawn } from 'node:child_process';
import { jsonLines } from './json-lines.ts';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

const timeoutDefaultMs = 300_000;

/** The JSON lines a process printed. Throws with its last line of stderr where it ended badly. */
export async function runForLines(command: Command): Promise<Record<string, unknown>[]> {
  const { file, args, env, timeoutMs = timeoutDefaultMs } = command;
  const child = spawn(file, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal));
  });
  if (code === 0) return jsonLines(stdout);
  const lastLine = stderr.trim().split('\n').at(-1) ?? '';
  throw new Error(`${file} ${args.join(' ')}: ended with ${code}: ${lastLine}`);
}
