// Timers that end with their owner (I/O): one that outlived it would keep all that it holds in memory until it is due.

export class Timers {
  readonly #pending = new Set<NodeJS.Timeout>();
  #isOver = false;

  /** Calls `act` after so many milliseconds, unless the owner has ended by then. Keeps no process alive. */
  after(ms: number, act: () => void): void {
    if (this.#isOver) return;
    const timer = setTimeout(() => {
      this.#pending.delete(timer);
      act();
    }, ms).unref();
    this.#pending.add(timer);
  }

  /** The owner has ended: no timer is due any more, nor is a new one set. */
  end(): void {
    this.#isOver = true;
    for (const timer of this.#pending) clearTimeout(timer);
    this.#pending.clear();
  }
}
