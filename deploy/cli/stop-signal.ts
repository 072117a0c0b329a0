// Signals of the operating system as a StopSignal (I/O): the first SIGINT or SIGTERM asks the run to finish its step and
// write a checkpoint, the second ends the process at once.

import type { StopSignal } from '../../src/engine/events.ts';

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof exitCodes;

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
    for (const signal of Object.keys(exitCodes)) process.on(signal, this.#onSignal);
  }

  get stopRequested(): boolean {
    return this.#received !== null;
  }

  /** 130 or 143 once a signal came, else null. */
  get exitCode(): number | null {
    return this.#received === null ? null : exitCodes[this.#received];
  }

  onStop(listener: () => void): void {
    if (this.stopRequested) listener();
    else this.#listeners.push(listener);
  }

  dispose(): void {
    for (const signal of Object.keys(exitCodes)) process.off(signal, this.#onSignal);
  }

  #receive(signal: Signal): void {
    const nowMs = Date.now();
    if (this.#received !== null) {
      if (signal === this.#received && nowMs - this.#receivedMs < samePressMs) return;
      process.exit(exitCodes[signal]);
    }
    this.#received = signal;
    this.#receivedMs = nowMs;
    this.#log(`${signal}: finishing the step in flight and writing a checkpoint; once more to exit at once`);
    for (const listener of this.#listeners.splice(0)) listener();
  }
}
