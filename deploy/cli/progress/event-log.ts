// Keeps a run's events in its directory as NDJSON (I/O), for plots and for looking back: OUT/events.ndjson.
// A resumed run appends. A disk that fails here costs the log, not the run.

import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent } from '../../../src/engine/events.ts';
import { printable } from '../../../src/platform/printable.ts';

const flushBytes = 64 * 1024;

export class EventLog {
  readonly path: string;
  #file: number | null = null;
  #pending = '';

  /** @param append whether the run goes on from an earlier one */
  constructor(directory: string, append: boolean) {
    this.path = join(directory, 'events.ndjson');
    try {
      mkdirSync(directory, { recursive: true });
      this.#file = openSync(this.path, append ? 'a' : 'w');
    } catch {
      this.#file = null;
    }
  }

  write(event: RunEvent): void {
    this.#pending += `${printable(JSON.stringify(event))}\n`;
    if (event.event !== 'step' || this.#pending.length >= flushBytes) this.#flush();
  }

  close(): void {
    this.#flush();
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #flush(): void {
    const text = this.#pending;
    this.#pending = '';
    if (this.#file === null || text === '') return;
    try {
      writeSync(this.#file, text);
    } catch {
      closeSync(this.#file);
      this.#file = null;
    }
  }
}
