// When those who are not let in are told so (I/O: timers). The first of a host are told at once; who comes again as fast as it is
// refused waits for its answer, a few a second, and costs next to nothing meanwhile. Who is let in never comes here.

import { limits } from '../limits.ts';

export class Refusals {
  /** By host: when the next one would have its turn if all turns were taken, in milliseconds of performance.now(). */
  readonly #turns = new Map<string, number>();

  /** Calls `answer` when it is this host's turn, unless what is returned was called before. */
  tell(host: string, answer: () => void): () => void {
    const nowMs = performance.now();
    const { refusalIntervalMs, refusalsAtOnce, upgradeTimeoutMs } = limits;
    const earliestMs = nowMs - (refusalsAtOnce - 1) * refusalIntervalMs;
    const turnMs = Math.max(this.#turns.get(host) ?? earliestMs, earliestMs);
    // No socket waits for longer than this: a flood gets no answers, and takes no turns of the hours to come.
    if (turnMs > nowMs + upgradeTimeoutMs) return () => undefined;
    this.#remember(host, turnMs + refusalIntervalMs, earliestMs);
    if (turnMs <= nowMs) {
      answer();
      return () => undefined;
    }
    const timer = setTimeout(answer, turnMs - nowMs).unref();
    return () => clearTimeout(timer);
  }

  #remember(host: string, turnMs: number, earliestMs: number): void {
    // The newest last: what goes first for want of room is what was not heard of for longest.
    this.#turns.delete(host);
    this.#turns.set(host, turnMs);
    if (this.#turns.size <= limits.refusedHostsMax) return;
    for (const [other, otherMs] of this.#turns) if (otherMs <= earliestMs) this.#turns.delete(other);
    const [oldest] = this.#turns.keys();
    if (this.#turns.size > limits.refusedHostsMax && oldest !== undefined) this.#turns.delete(oldest);
  }
}
