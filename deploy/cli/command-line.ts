// The command line (I/O): runs one command and turns whatever it throws into one line and an exit code.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { LockstepError } from '../../src/errors.ts';
import { packageRoot } from '../../src/platform/package-root.ts';
import { describeError } from './describe-error.ts';
import { buildProgram } from './program.ts';
import { runFunctions } from './run-functions.ts';

const { stdout, stderr } = process;

/** Threads that do not come back would keep the process from ever exiting in order. */
let isStuck = false;

function fail(error: unknown): number {
  isStuck ||= error instanceof LockstepError && error.code === 'LOCKSTEP_LANES_STUCK';
  const { lines, exitCode } = describeError(error, process.env.LOCKSTEP_DEBUG === '1');
  for (const line of lines) stderr.write(`${line}\n`);
  return exitCode;
}

function version(): string {
  const description: { version: string } = JSON.parse(
    readFileSync(join(packageRoot(), 'package.json'), 'utf8'),
  );
  return description.version;
}

// `lockstep ... | head` ends the reader early: nothing to say, nothing to go on for, except where a run is to be kept.
let readerGone = (): void => process.exit(0);
stdout.on('error', (error: NodeJS.ErrnoException) =>
  error.code === 'EPIPE' ? readerGone() : process.exit(fail(error)),
);
// A log that nobody reads costs the log, not the run; and there is nowhere to say so.
stderr.on('error', () => undefined);
process.on('uncaughtException', (error) => process.exit(fail(error)));
process.on('unhandledRejection', (reason) => process.exit(fail(reason)));

let exitCode = 0;
try {
  await buildProgram({
    api: runFunctions,
    stdout,
    stderr,
    cores: availableParallelism(),
    version: version(),
    typed: ['lockstep', ...process.argv.slice(2)],
    onReaderGone: (listener) => {
      readerGone = listener;
    },
    setExitCode: (code) => {
      exitCode = code;
    },
  }).parseAsync();
} catch (error) {
  exitCode = fail(error);
}
// Threads and sockets of a command that failed half-way must not keep the process; output first, though.
stdout.write('', () => (isStuck ? process.kill(process.pid, 'SIGKILL') : process.exit(exitCode)));
