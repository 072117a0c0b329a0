// What a coordinator must not forget: which run this is, the newest generation, where it ended; each line
// fsynced before anybody hears of it (I/O). A lock (lock.ts) keeps a second coordinator out; journal-lines.ts reads lines.

import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { cannotBe } from '../src/checkpoint/durable-file.ts';
import { assert, LockstepError } from '../src/errors.ts';
import { type JournalState, stateOfLines } from './journal-lines.ts';
import { readLock, takeLock } from './lock.ts';
import { newNameKey } from './name-secrets.ts';
import type { Journalled, Numerics, RunIdentity } from './run-identity.ts';

const journalName = 'journal.ndjson';
const lockName = 'coordinator.lock';

interface Found extends JournalState {
  /** There is nothing in it. */
  readonly isEmpty: boolean;
  /** The last line is whole, or there is none. */
  readonly isWhole: boolean;
}

interface Lock {
  readonly path: string;
  readonly text: string;
}

export class Journal implements Journalled {
  readonly runId: string;
  /** Key of the workers' secrets. */
  readonly nameKey: string;
  /** Null in one that does not say it. */
  readonly identity: RunIdentity | null;
  /** Of the first membership; null where there was none, or where no line says it. */
  readonly numerics: Numerics | null;
  /** The newest generation that was formed; 0 before the first. */
  readonly generation: number;
  /** workerIds of that generation, in rank order. */
  readonly members: readonly string[];
  /** workerIds of all generations. */
  readonly names: ReadonlySet<string>;
  /** Up to which step that generation computes again; null where it does not. */
  readonly replayTo: number | null;
  /** Where the newest generation came to its end, and every worker was told so; else null. */
  readonly endedStep: number | null;
  readonly #path: string;
  readonly #file: number;
  readonly #lock: Lock;
  readonly #isNew: boolean;
  readonly #hasNameKey: boolean;
  /** A membership was formed, or was about to be. */
  #isFormed = false;
  #hadCheckpoint: boolean;
  /** Some line says which run this is. */
  #isBegun: boolean;
  /** Where checkpoints are, once there are any. */
  #folder: string | null = null;

  private constructor(path: string, state: Found, file: number, lock: Lock) {
    this.runId = state.runId ?? randomUUID();
    this.nameKey = state.nameKey ?? newNameKey();
    this.#hasNameKey = state.nameKey !== null;
    this.names = state.names;
    this.#isNew = state.isEmpty;
    this.#isBegun = state.runId !== null;
    this.identity = state.identity;
    this.numerics = state.numerics;
    this.generation = state.generation;
    this.members = state.members;
    this.replayTo = state.replayTo;
    this.endedStep = state.endedStep;
    this.#hadCheckpoint = state.hadCheckpoint;
    this.#path = path;
    this.#file = file;
    this.#lock = lock;
  }

  /** Takes the run's directory, and reads what is there. Throws LOCKSTEP_RUN_IN_USE or LOCKSTEP_FILE_SYSTEM. */
  static open(directory: string): Journal {
    const path = join(directory, journalName);
    const lockPath = join(directory, lockName);
    let lock: Lock | null = null;
    try {
      mkdirSync(directory, { recursive: true });
      lock = { path: lockPath, text: takeLock(lockPath) };
      const state = readState(path);
      const journal = new Journal(path, state, openSync(path, 'a', 0o600), lock);
      // A line after a torn one must not become a part of it.
      if (!state.isWhole) writeWhole(journal.#file, '\n');
      syncDirectory(directory);
      return journal;
    } catch (error) {
      if (lock !== null) rmSync(lockPath, { force: true });
      if (error instanceof LockstepError) throw error;
      throw cannotBe('written', path, error);
    }
  }

  /** A run was begun here before. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** A checkpoint was finished: that none is there means that it was lost. */
  get hadCheckpoint(): boolean {
    return this.#hadCheckpoint;
  }

  /** Before anything else is noted: this is the run. Durable when it returns. */
  begin(identity: RunIdentity): void {
    if (!this.#isBegun) this.#append({ runId: this.runId, nameKey: this.nameKey, ...identity });
    else if (this.identity === null) this.#append(identity);
    if (this.#isBegun && !this.#hasNameKey) this.#append({ nameKey: this.nameKey });
    this.#isBegun = true;
  }

  /** `numerics`: of the first membership, null afterwards. Durable when it returns. */
  formed(
    generation: number,
    workerIds: readonly string[],
    numerics: Numerics | null,
    replayTo: number | null = null,
  ): void {
    assert(this.#isBegun, 'the journal says which run it is of');
    this.#isFormed = true;
    const more = { ...(numerics === null ? {} : { numerics }), ...(replayTo === null ? {} : { replayTo }) };
    this.#append({ generation, workerIds, ...more });
  }

  /** Nobody is left who has more than the checkpoint of this step. Durable when it returns. */
  ended(step: number): void {
    this.#append({ ended: step });
  }

  /** There are checkpoints in `folder`: from now on it must be there. */
  keepsIn(folder: string): void {
    this.#folder = folder;
  }

  /** The checkpoint of this step is finished. Durable when it returns. */
  kept(step: number): void {
    if (!this.#hadCheckpoint) this.#append({ checkpoint: step });
    this.#hadCheckpoint = true;
  }

  /**
   * For before and after anything is kept. Throws LOCKSTEP_FILE_SYSTEM where the directory of the run, or what it cannot be
   * taken up again without, was taken away under it: what is kept after that would be of no use to anybody.
   */
  check(): void {
    const gone = this.#whatIsGone();
    if (gone === null) return;
    throw new LockstepError(
      'LOCKSTEP_FILE_SYSTEM',
      `${dirname(this.#path)}: was deleted, moved or replaced while the run went on (${gone}), so the run cannot be kept ` +
        'and has ended; start it again, with --resume where a checkpoint is left, and leave its directory alone until it is over',
    );
  }

  #whatIsGone(): string | null {
    try {
      const held = fstatSync(this.#file, { bigint: true });
      const there = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
      if (there === undefined) return `${journalName} is gone`;
      if (there.ino !== held.ino || there.dev !== held.dev) return `${journalName} is another file`;
      if (readLock(this.#lock.path) !== this.#lock.text) return `${lockName} is gone, or that of another`;
    } catch (error) {
      throw cannotBe('read', this.#path, error);
    }
    const folder = this.#folder;
    return folder === null || existsSync(folder) ? null : `${folder} is gone`;
  }

  /**
   * Everything is on disk before; the lock goes, if it is still ours, whatever happens, and a new journal of a run that never
   * had a membership: nobody has anything of it, so its directory is free again. Throws LOCKSTEP_FILE_SYSTEM.
   */
  close(): void {
    try {
      try {
        const isUnused = this.#isNew && !this.#isFormed && this.#whatIsGone() === null;
        closeSync(this.#file);
        if (isUnused) rmSync(this.#path);
      } finally {
        if (readLock(this.#lock.path) === this.#lock.text) rmSync(this.#lock.path, { force: true });
      }
    } catch (error) {
      throw cannotBe('closed', this.#path, error);
    }
  }

  #append(line: object): void {
    this.check();
    try {
      writeWhole(this.#file, `${JSON.stringify(line)}\n`);
      fsyncSync(this.#file);
    } catch (error) {
      throw cannotBe('written', this.#path, error);
    }
  }
}

/** A file that is almost full takes a part and says so by the number alone. */
function writeWhole(file: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
}

function syncDirectory(path: string): void {
  // Windows has no fsync of directories; its renames are journalled.
  if (process.platform === 'win32') return;
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** A line that a crash cut short was not yet acknowledged to anybody; one that is no line of ours says nothing. */
function readState(path: string): Found {
  let text: string;
  try {
    // As bytes: Node aborts where the closing fails after reading a text.
    text = readFileSync(path).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { ...stateOfLines(''), isEmpty: true, isWhole: true };
    throw error;
  }
  const isWhole = text === '' || text.endsWith('\n');
  return { ...stateOfLines(text), isEmpty: text === '', isWhole };
}

/** A membership was formed: there is something to go on with. */
export function hasMembership(directory: string): boolean {
  return readState(join(directory, journalName)).generation > 0;
}
