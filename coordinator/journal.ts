// What a coordinator must not forget: the run's id and the newest generation, each line fsynced before anybody hears of it
// (I/O). A lock beside it keeps a second coordinator of this machine out while the first lives.

import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { asLockstepError, LockstepError } from '../src/errors.ts';

const journalName = 'journal.ndjson';
const lockName = 'coordinator.lock';

interface JournalLine {
  readonly runId?: string;
  readonly generation?: number;
}

export class Journal {
  readonly runId: string;
  /** The newest generation that was formed; 0 before the first. */
  readonly generation: number;
  readonly #file: number;
  readonly #lock: string;

  private constructor(state: { runId: string; generation: number }, file: number, lock: string) {
    this.runId = state.runId;
    this.generation = state.generation;
    this.#file = file;
    this.#lock = lock;
  }

  /** Takes the run's directory; goes on from what is there. Throws LOCKSTEP_RUN_IN_USE or LOCKSTEP_FILE_SYSTEM. */
  static open(directory: string): Journal {
    try {
      mkdirSync(directory, { recursive: true });
      const lock = takeLock(join(directory, lockName));
      const path = join(directory, journalName);
      const lines = readLines(path);
      const runId = lines.find((line) => line.runId !== undefined)?.runId;
      const generation = lines.reduce((newest, line) => Math.max(newest, line.generation ?? 0), 0);
      const file = openSync(path, 'a', 0o600);
      const journal = new Journal({ runId: runId ?? randomUUID(), generation }, file, lock);
      if (runId === undefined) journal.#append({ runId: journal.runId });
      return journal;
    } catch (error) {
      if (error instanceof LockstepError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw new LockstepError(
        'LOCKSTEP_FILE_SYSTEM',
        `${directory}: cannot keep the journal (${code ?? message})`,
        {
          cause: error,
        },
      );
    }
  }

  /** Durable when it returns. */
  formed(generation: number, workerIds: readonly string[]): void {
    try {
      this.#append({ generation, workerIds });
    } catch (error) {
      throw new LockstepError(
        'LOCKSTEP_FILE_SYSTEM',
        `the journal cannot be written: ${asLockstepError(error).message}`,
      );
    }
  }

  close(): void {
    closeSync(this.#file);
    rmSync(this.#lock, { force: true });
  }

  #append(line: object): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
  }
}

/** A line that a crash cut short was not yet acknowledged to anybody. */
function readLines(path: string): JournalLine[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as JournalLine];
    } catch {
      return [];
    }
  });
}

/** Names this process; a lock of a process that is gone is taken over. */
function takeLock(path: string): string {
  for (;;) {
    try {
      const file = openSync(path, 'wx', 0o600);
      writeSync(file, `${process.pid}\n`);
      closeSync(file);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = Number(readFileSync(path, 'utf8'));
    if (pid !== process.pid && isAlive(pid)) {
      throw new LockstepError(
        'LOCKSTEP_RUN_IN_USE',
        `process ${pid} already coordinates this run (${path}); end it first, or train into another --out`,
      );
    }
    rmSync(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** A run was begun in this directory: its workers may hold a state that no checkpoint has. */
export function hasJournal(directory: string): boolean {
  return readLines(join(directory, journalName)).length > 0;
}
