// Keeps a second coordinator of this machine off a run (I/O): a file that names the process that leads it. The file of a
// process that is gone is taken over by one, however many try at once.

import { constants, copyFileSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { LockstepError } from '../src/errors.ts';
import { isRunning, markText, ownMark, type ProcessMark, parseMark } from './process-mark.ts';

/** Another that takes the lock over has done so within this, in milliseconds; and between two looks. */
const takingMs = 5_000;
const lookAgainMs = 5;

/** Gives what is in the file now. Throws LOCKSTEP_RUN_IN_USE, and what the file system says. */
export function takeLock(path: string): string {
  const own = `${path}.${process.pid}`;
  const text = markText(ownMark());
  try {
    writeFileSync(own, text, { mode: 0o600 });
    for (const giveUpMs = performance.now() + takingMs; !appear(own, path); ) {
      const holder = holderOf(path);
      if (holder === null) continue;
      if (isRunning(holder) !== false || performance.now() > giveUpMs) throw inUse(holder, path);
      clearAway(own, path, giveUpMs);
    }
    return text;
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Only who has the second file may take the first away, and looks again before: else a slow one would take away the lock
 * of a quick one, which it saw when it was still that of the dead.
 */
function clearAway(own: string, path: string, giveUpMs: number): void {
  const taking = `${path}.taking`;
  while (!appear(own, taking)) {
    const taker = holderOf(taking);
    if (taker === null) continue;
    if (performance.now() > giveUpMs) throw inUse(taker, taking);
    if (isRunning(taker) !== false) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookAgainMs);
    else rmSync(taking, { force: true });
  }
  try {
    const holder = holderOf(path);
    if (holder !== null && isRunning(holder) === false) rmSync(path, { force: true });
  } finally {
    rmSync(taking, { force: true });
  }
}

/** The file is there with all it says, or not at all; false where there is one already. */
function appear(own: string, path: string): boolean {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
  }
  // A file system without links.
  try {
    copyFileSync(own, path, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Null where the file has gone. */
function holderOf(path: string): ProcessMark | null {
  const text = readLock(path);
  return text === null ? null : parseMark(text);
}

/** Null where the file has gone. */
export function readLock(path: string): string | null {
  try {
    return readFileSync(path).toString('latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function inUse(holder: ProcessMark, path: string): LockstepError {
  const { pid } = holder;
  const sure = isRunning(holder) === true;
  const unsure = `; where process ${pid} is no coordinator of Lockstep, its number was given again: remove ${path}`;
  return new LockstepError(
    'LOCKSTEP_RUN_IN_USE',
    `process ${pid} already coordinates this run (${path}); end it first, or train into another --out${sure ? '' : unsure}`,
  );
}
