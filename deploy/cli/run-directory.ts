// Where a run keeps its checkpoints and events (I/O: looks at directories, makes none). Never mixes two runs in one.

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LockstepError } from '../../src/errors.ts';

/**
 * The directory for a run named `name`: `asked`, else `runsDirectory`/NAME; where that is not empty, NAME-2 and so on.
 * With `resume` the one to go on with: `asked`, else the newest of that name with a checkpoint.
 * Throws LOCKSTEP_USAGE where `asked` holds another run, LOCKSTEP_CHECKPOINT_NOT_FOUND where there is none to resume.
 */
export function runDirectory(
  name: string,
  asked: string | undefined,
  resume: boolean,
  runsDirectory = 'runs',
): string {
  if (asked !== undefined) return askedDirectory(asked, resume);
  const candidate = (number: number): string =>
    join(runsDirectory, number === 1 ? name : `${name}-${number}`);
  let number = 1;
  while (!isEmpty(candidate(number))) number += 1;
  if (!resume) return candidate(number);
  // Runs that failed before their first checkpoint have left a log behind, and nothing to go on with.
  while (number > 0 && !hasCheckpoints(candidate(number))) number -= 1;
  if (number === 0) throw nothingToResume(candidate(1));
  return candidate(number);
}

function askedDirectory(asked: string, resume: boolean): string {
  checkIsDirectory(asked);
  if (resume && !hasCheckpoints(asked)) throw nothingToResume(asked);
  if (!resume && hasCheckpoints(asked)) {
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

function hasCheckpoints(directory: string): boolean {
  return !isEmpty(join(directory, 'checkpoints'));
}

/** A file where a directory belongs is told now, not after the first epoch. */
function checkIsDirectory(path: string): void {
  for (let part = path; ; part = dirname(part)) {
    if (existsSync(part)) {
      try {
        readdirSync(part);
        return;
      } catch (cause) {
        throw new LockstepError(
          'LOCKSTEP_USAGE',
          `--out ${path}: ${part} is not a directory that can be read`,
          { cause },
        );
      }
    }
    if (dirname(part) === part) return;
  }
}
