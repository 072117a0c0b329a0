// Keeps a second coordinator of this machine off a run (I/O): a file that names the process that leads it. The file of a
// process that is gone is taken over by one, however many try at once.

import { constants, copyFileSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { LockstepError } from '../src/errors.ts';

/** Another that takes the lock over has done so within this, in milliseconds; and between two looks. */
const takingMs = 5_000;
const lookAgainMs = 5;

/** Throws LOCKSTEP_RUN_IN_USE, and what the file system says. */
export function takeLock(path: string): void {
  const own = `${path}.${process.pid}`;
  try {
    writeFileSync(own, `${process.pid}\n`, { mode: 0o600 });
    for (const giveUpMs = performance.now() + takingMs; !appear(own, path); ) {
      const holder = holderOf(path);
      if (holder === null) continue;
      if (isAlive(holder) || performance.now() > giveUpMs) throw inUse(holder, path);
      clearAway(own, path, giveUpMs);
    }
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
    if (isAlive(taker)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookAgainMs);
    else rmSync(taking, { force: true });
  }
  try {
    const holder = holderOf(path);
    if (holder !== null && !isAlive(holder)) rmSync(path, { force: true });
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
function holderOf(path: string): number | null {
  try {
    return Number(readFileSync(path).toString('utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A file that names this process is from before: in a container the next one often has the number of the last. */
function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function inUse(pid: number, path: string): LockstepError {
  return new LockstepError(
    'LOCKSTEP_RUN_IN_USE',
    `process ${pid} already coordinates this run (${path}); end it first, or train into another --out`,
  );
}
