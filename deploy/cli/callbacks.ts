// The callbacks of whoever starts a run: onEvent and the stop signal. They are the caller's code and may throw, at once or by a
// promise. The run is then stopped in order, as at a stop signal, and ends with the very value that was thrown.

import type { RunEvent, StopSignal } from '../../src/engine/events.ts';
import { deferred } from '../../src/platform/deferred.ts';

interface CallersCallbacks {
  readonly onEvent: (event: RunEvent) => unknown;
  readonly signal: StopSignal;
}

export class Callbacks {
  readonly #given: CallersCallbacks;
  #stop: (() => void) | null = null;
  #isStopRequested = false;
  #thrown: { readonly value: unknown } | null = null;
  /** Promises that onEvent returned and that have not settled. */
  #pending = 0;
  #settled = deferred<void>();

  constructor({ onEvent, signal }: CallersCallbacks) {
    // Nothing more of the options, among which is the data set: a signal that outlives the run holds its listener.
    this.#given = { onEvent, signal };
  }

  /** Never throws. After a callback has thrown, no more events are told. */
  readonly onEvent = (event: RunEvent): void => {
    if (this.#thrown !== null) return;
    this.#call(() => {
      const returned = this.#given.onEvent(event);
      if (isThenable(returned)) this.#await(returned);
    });
  };

  /** Calls `stop`, once, when the signal asks to stop or a callback has thrown; never in the middle of an event. */
  onStop(stop: () => void): void {
    this.#stop = stop;
    if (this.#isStopRequested) this.#callStop();
    this.#call(() => this.#given.signal.onStop(() => this.#requestStop()));
  }

  /** The run is over. Resolves when all promises of callbacks have settled. Throws what a callback threw. */
  async end(): Promise<void> {
    this.#stop = null;
    if (this.#pending > 0) await this.#settled.promise;
    if (this.#thrown !== null) throw this.#thrown.value;
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#failed(error);
    }
  }

  #await(returned: PromiseLike<unknown>): void {
    this.#pending += 1;
    const settled = (): void => {
      this.#pending -= 1;
      if (this.#pending > 0) return;
      this.#settled.resolve();
      this.#settled = deferred<void>();
    };
    const failed = (error: unknown): void => {
      this.#failed(error);
      settled();
    };
    Promise.resolve(returned).then(settled, failed);
  }

  #failed(value: unknown): void {
    this.#thrown ??= { value };
    this.#requestStop();
  }

  #requestStop(): void {
    if (this.#isStopRequested) return;
    this.#isStopRequested = true;
    this.#callStop();
  }

  #callStop(): void {
    queueMicrotask(() => this.#stop?.());
  }
}

/** Runs `work` with these callbacks guarded. Throws what they threw, else what `work` threw. */
export async function withCallbacks<T>(
  given: CallersCallbacks,
  work: (callbacks: Callbacks) => Promise<T>,
): Promise<T> {
  const callbacks = new Callbacks(given);
  const [outcome] = await Promise.allSettled([work(callbacks)]);
  await callbacks.end();
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject && 'then' in value && typeof value.then === 'function';
}
