// The token that a run has where none was given (I/O): a file in its directory, made once, readable by this user alone. A
// coordinator that takes the run up again finds it there, and so do the workers that wait for it.

import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Token } from '../../proto/transport/token.ts';
import { cannotBe, temporaryExtension } from '../../src/checkpoint/durable-file.ts';
import { readTokenFile } from './load-run.ts';

export interface RunToken {
  readonly token: Token;
  readonly file: string;
  /** It was not there before. */
  readonly isNew: boolean;
}

/**
 * For who holds the lock of the run in `out`. A file that is there is never written over.
 * Throws LOCKSTEP_USAGE where it cannot be used, LOCKSTEP_FILE_SYSTEM where none can be made.
 */
export function tokenOfRun(out: string): RunToken {
  const file = join(out, 'token');
  if (existsSync(file)) {
    return { token: Token.parse(readTokenFile(file, file), file), file, isNew: false };
  }
  const token = Token.generate();
  write(file, `${token.reveal()}\n`);
  return { token, file, isNew: true };
}

/** Nobody joined with it. Another's, made there since, stays. */
export function forgetToken({ token, file }: RunToken): void {
  try {
    if (readFileSync(file, 'latin1').trim() === token.reveal()) rmSync(file);
  } catch {
    // It is gone, or its directory is: what matters is told already.
  }
}

/** Whole or not at all: an empty file would stop whoever takes the run up again. */
function write(file: string, text: string): void {
  const temporary = file + temporaryExtension;
  try {
    rmSync(temporary, { force: true });
    const descriptor = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw cannotBe('written', file, error);
  }
}
