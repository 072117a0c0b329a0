// Where a run keeps its checkpoints and events (I/O: claims the directory by making it). Never mixes two runs in one.

import { accessSync, constants, existsSync, lstatSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasMembership } from '../../coordinator/journal.ts';
import { LockstepError } from '../../src/errors.ts';

/** Runs that may be started at the same moment. */
const attemptsMax = 100;

export interface RunDirectory {
  readonly path: string;
  /** For the end of a run, however it came: takes away what was made here, where nothing has come into it. */
  removeIfEmpty(): void;
}

/**
 * The directory for a run named `name`: `asked`, else a new one, `runsDirectory`/NAME or where there is such a run NAME-2
 * and so on. Making it is what claims it, so that runs started together never get the same one.
 * With `resume` the one to go on with: `asked`, else that with the highest number that has something to go on with.
 * Throws LOCKSTEP_USAGE where `asked` holds another run, LOCKSTEP_CHECKPOINT_NOT_FOUND where there is none to resume,
 * LOCKSTEP_FILE_SYSTEM where no directory can be made.
 */
export function runDirectory(
  name: string,
  asked: string | undefined,
  resume: boolean,
  runsDirectory = 'runs',
): RunDirectory {
  if (asked !== undefined) return found(askedDirectory(asked, resume));
  const first = join(runsDirectory, name);
  const numbers = numbersOf(first);
  if (!resume) return claim(first, Math.max(0, ...numbers) + 1);
  // Runs that failed before their first membership have left a log behind, and nothing to go on with.
  const newest = numbers.filter((number) => canGoOn(numbered(first, number))).at(-1);
  if (newest === undefined) throw nothingToResume(first);
  return found(numbered(first, newest));
}

const found = (path: string): RunDirectory => ({ path, removeIfEmpty: () => undefined });

const numbered = (first: string, number: number): string => (number === 1 ? first : `${first}-${number}`);

/** The numbers of the runs beside `first`, ascending. */
function numbersOf(first: string): number[] {
  const parent = dirname(first);
  const stem = `${basename(first)}-`;
  return (existsSync(parent) ? readdirSync(parent) : [])
    .flatMap((entry) => {
      if (entry === basename(first)) return [1];
      const digits = entry.startsWith(stem) ? entry.slice(stem.length) : '';
      return /^([2-9]|[1-9]\d{1,8})$/.test(digits) ? [Number(digits)] : [];
    })
    .sort((a, b) => a - b);
}

/** Makes the first directory from `number` on that nobody else has made. */
function claim(first: string, number: number): RunDirectory {
  const parent = dirname(first);
  let taken = 0;
  for (let attempt = 0; ; attempt += 1) {
    const path = numbered(first, number + taken);
    try {
      // Not with `recursive`: where nothing can be made, that says ENOENT, whatever the cause.
      const madeParent = !existsSync(parent);
      if (madeParent) mkdirSync(parent);
      mkdirSync(path);
      return { path, removeIfEmpty: () => removeEmpty(madeParent ? [path, parent] : [path]) };
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      // Taken by another run; or the parent went in between, empty, with the run that had made it.
      if (isTaken(path)) taken += 1;
      if (attempt < attemptsMax && (code === 'EEXIST' || code === 'ENOENT')) continue;
      const told = `${path}: cannot be made (${code}); name another place with --out`;
      throw new LockstepError('LOCKSTEP_FILE_SYSTEM', told, { cause });
    }
  }
}

/** By a link to nothing, too. */
function isTaken(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** A directory that something has come into stays, and so do those above it. */
function removeEmpty(paths: readonly string[]): void {
  try {
    for (const path of paths) rmdirSync(path);
  } catch {
    // It is not empty, or somebody else has taken it away.
  }
}

function askedDirectory(asked: string, resume: boolean): string {
  checkIsDirectory(asked);
  if (resume && !isBegun(asked)) throw nothingToResume(asked);
  if (!resume && isBegun(asked)) {
    throw new LockstepError(
      'LOCKSTEP_USAGE',
      `${asked} holds a run already: add --resume to go on with it, or give another --out`,
    );
  }
  return asked;
}

function nothingToResume(directory: string): LockstepError {
  return new LockstepError(
    'LOCKSTEP_CHECKPOINT_NOT_FOUND',
    `${directory}: there is no run to resume; leave out --resume to start one`,
  );
}

function isEmpty(directory: string): boolean {
  return !existsSync(directory) || readdirSync(directory).length === 0;
}

/** It has a checkpoint, or a journal of a coordinator whose workers may hold the state. */
function isBegun(directory: string): boolean {
  return hasCheckpoints(directory) || existsSync(join(directory, 'journal.ndjson'));
}

/** It has a checkpoint, or had members: they may hold a state that no checkpoint has. */
function canGoOn(directory: string): boolean {
  return hasCheckpoints(directory) || hasMembership(directory);
}

function hasCheckpoints(directory: string): boolean {
  return !isEmpty(join(directory, 'checkpoints'));
}

/**
 * A file where a directory belongs, or a place where nothing can be made, is told now, not after the first epoch. The
 * outermost missing directory is made and taken away again: mkdir with `recursive` never returns below /proc.
 */
function checkIsDirectory(path: string): void {
  let missing: string | null = null;
  for (let part = path; ; part = dirname(part)) {
    if (existsSync(part)) break;
    missing = part;
    if (dirname(part) === part) return;
  }
  const existing = missing === null ? path : dirname(missing);
  try {
    readdirSync(existing);
  } catch (cause) {
    const told = `--out ${path}: ${existing} is not a directory that can be read`;
    throw new LockstepError('LOCKSTEP_USAGE', told, { cause });
  }
  try {
    if (missing === null) {
      accessSync(path, constants.W_OK);
      return;
    }
    mkdirSync(missing);
    rmdirSync(missing);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // Another run has just made it, or has already put something into it.
    if (code === 'EEXIST' || code === 'ENOTEMPTY') return;
    const told = `--out ${path}: cannot be written to (${code}); name another place with --out`;
    throw new LockstepError('LOCKSTEP_FILE_SYSTEM', told, { cause });
  }
}
