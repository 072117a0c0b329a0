// Writes a file so that it is there whole or not at all, whatever happens (I/O): temporary file in the same directory,
// fsync, rename, fsync of the directory. A failed fsync ends the write and is never retried: after it, nobody knows what
// is on the disk.

import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LockstepError, openFilesRemedy } from '../errors.ts';

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left; free some, or name another place with --out',
  EDQUOT: 'the quota is used up; free some space, or name another place with --out',
  EACCES: 'permission denied; name another place with --out',
  EPERM: 'permission denied; name another place with --out',
  EROFS: 'the file system is read-only; name another place with --out',
  ENOTDIR: 'a part of the path is a file, not a directory; name another place with --out',
  EMFILE: openFilesRemedy,
  ENFILE: openFilesRemedy,
  EEXIST: 'a file is where a directory is needed; name another place with --out',
};

/** One line naming the file and the cause. */
export function cannotBe(done: string, path: string, error: unknown): LockstepError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  const remedy = remedies[code];
  const why = remedy === undefined ? code : `${code}, ${remedy}`;
  return new LockstepError('LOCKSTEP_FILE_SYSTEM', `${path}: cannot be ${done}: ${why}`, { cause: error });
}

/** IOV_MAX of Linux, macOS and the BSDs. */
const partsAtOnceMax = 1024;
/** macOS refuses 2 GiB. */
const bytesAtOnceMax = 2 ** 30;

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Ends the name of a file while it is being written; a crash may leave one behind. One process writes at a time. */
export const temporaryExtension = '.tmp';

/** The file is `parts`, one after another. @throws LockstepError LOCKSTEP_FILE_SYSTEM; what was there before is then still there */
export async function writeDurably(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = path + temporaryExtension;
  try {
    const file = await open(temporary, 'w');
    try {
      await writeAll(file, parts);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw cannotBe('written', path, error);
  }
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  let left = parts.filter(({ length }) => length > 0);
  while (left.length > 0) {
    // The system may take less than it is given.
    const { bytesWritten } = await file.writev(firstOf(left));
    left = without(left, bytesWritten);
  }
}

/** As many of the first of `parts` as a system takes in one call. */
function firstOf(parts: readonly Uint8Array[]): Uint8Array[] {
  const first: Uint8Array[] = [];
  let room = bytesAtOnceMax;
  for (const part of parts.slice(0, partsAtOnceMax)) {
    if (room === 0) break;
    first.push(part.subarray(0, room));
    room -= Math.min(room, part.length);
  }
  return first;
}

/** What is left of `parts` after their first `bytes`. */
function without(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let gone = bytes;
  return parts.flatMap((part) => {
    const here = Math.min(gone, part.length);
    gone -= here;
    return here < part.length ? [part.subarray(here)] : [];
  });
}

/** Makes a directory and those above it, durably. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true });
    if (first !== undefined) await syncDirectory(dirname(first));
  } catch (error) {
    throw cannotBe('written', path, error);
  }
}

/** A file that is gone already is no error. @throws LockstepError LOCKSTEP_FILE_SYSTEM */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw cannotBe('removed', path, error);
  }
}

/** Names in a directory, none where it is gone. @throws LockstepError LOCKSTEP_FILE_SYSTEM */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw cannotBe('read', path, error);
  }
}

async function syncDirectory(path: string): Promise<void> {
  // Windows has no fsync of directories; its renames are journalled.
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
