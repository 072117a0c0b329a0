// From anything thrown to what a person reads on stderr and the exit code. Pure.

import { CommanderError } from 'commander';
import { asLockstepError, isOpenFilesLimit, LockstepError } from '../../src/errors.ts';
import { printable } from '../../src/platform/printable.ts';

export interface ErrorDescription {
  /** Lines for stderr; none where commander has printed its own. */
  readonly lines: readonly string[];
  readonly exitCode: number;
}

const usageExitCode = 2;

/** @param debug whether stack traces are wanted (LOCKSTEP_DEBUG=1) */
export function describeError(thrown: unknown, debug: boolean): ErrorDescription {
  const error = isOpenFilesLimit(thrown) ? asLockstepError(thrown) : thrown;
  if (error instanceof CommanderError) {
    return { lines: [], exitCode: error.exitCode === 0 ? 0 : usageExitCode };
  }
  const trace = debug && error instanceof Error ? error.stack : undefined;
  const stack = trace === undefined ? [] : [trace.split('\n').map(printable).join('\n')];
  if (error instanceof LockstepError)
    return { lines: [`error: ${oneLine(error.message)}`, ...stack], exitCode: error.exitCode };
  const message = error instanceof Error ? error.message : String(error);
  const report = debug
    ? []
    : [' (this is a bug of Lockstep; run again with LOCKSTEP_DEBUG=1 and report what it prints)'];
  return { lines: [`error: unexpected: ${oneLine(message)}${report.join('')}`, ...stack], exitCode: 1 };
}

function oneLine(message: string): string {
  return printable(message.replace(/\s*[\r\n]+\s*/g, ' ').trim());
}
