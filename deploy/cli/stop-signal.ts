// What asks this process to end as a StopSignal (I/O): the first SIGINT, SIGTERM or SIGHUP (the terminal is gone) asks the run
// to finish its step and write a checkpoint, the second ends the process at once. So does the reader of stdout that goes.

import type { StopSignal } from '../../src/engine/events.ts';

/** 128 and the number of the signal. */
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;
type Signal = keyof typeof exitCodes;

/** Node.js ignores SIGPIPE, and tells of a reader that is gone by an error. */
const heard = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const satisfies readonly Signal[];

/** npm passes on a Ctrl-C that the terminal has sent to us already: one press, two signals. */
const samePressMs = 250;

export class ProcessStopSignal implements StopSignal {
  #received: Signal | null = null;
  #receivedMs = 0;
  readonly #listeners: (() => void)[] = [];
  readonly #log: (line: string) => void;
  readonly #onSignal = (signal: NodeJS.Signals): void => this.#receive(signal as Signal);

  /** @param log shows one line to the person at the keyboard */
  constructor(log: (line: string) => void) {
    this.#log = log;
    for (const signal of heard) process.on(signal, this.#onSignal);
  }

  get stopRequested(): boolean {
    return this.#received !== null;
  }

  /** 129, 130, 141 or 143 once the process was asked to end, else null. */
  get exitCode(): number | null {
    return this.#received === null ? null : exitCodes[this.#received];
  }

  onStop(listener: () => void): void {
    if (this.stopRequested) listener();
    else this.#listeners.push(listener);
  }

  /** Nobody reads stdout any more. It may be called for every line that is written after that. */
  readerGone(): void {
    if (this.#received !== null) return;
    this.#stop(
      'SIGPIPE',
      'nobody reads stdout any more: finishing the step in flight and writing a checkpoint',
    );
  }

  dispose(): void {
    for (const signal of heard) process.off(signal, this.#onSignal);
  }

  #receive(signal: Signal): void {
    if (this.#received !== null) {
      if (signal === this.#received && Date.now() - this.#receivedMs < samePressMs) return;
      process.exit(exitCodes[signal]);
    }
    this.#stop(
      signal,
      `${signal}: finishing the step in flight and writing a checkpoint; once more to exit at once`,
    );
  }

  #stop(signal: Signal, line: string): void {
    this.#received = signal;
    this.#receivedMs = Date.now();
    this.#log(line);
    for (const listener of this.#listeners.splice(0)) listener();
  }
}
