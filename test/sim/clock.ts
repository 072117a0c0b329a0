// Virtual time: one queue of events in the order of their time, a seeded random source, and hosts whose events are lost when
// they are killed and wait while they are stopped. Nothing here knows what the events mean.

/** Mulberry32: small, and good enough to draw faults. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
    for (let i = 0; i < 4; i += 1) this.next();
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Between low and high, each order of magnitude as likely as any other. */
  magnitude(low: number, high: number): number {
    return low * (high / low) ** this.next();
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

const isBefore = (a: Scheduled, b: Scheduled): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export class Clock {
  nowMs = 0;
  events = 0;
  readonly #heap: Scheduled[] = [];
  #order = 0;

  after(delayMs: number, act: () => void): void {
    const added: Scheduled = { atMs: this.nowMs + delayMs, order: this.#order, act };
    this.#order += 1;
    const heap = this.#heap;
    let at = heap.push(added) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(added, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = added;
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return false;
    const last = heap.pop()!;
    if (heap.length > 0) this.#sink(last);
    this.nowMs = first.atMs;
    this.events += 1;
    first.act();
    return true;
  }

  #sink(moved: Scheduled): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, moved)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
  }
}

/** A process: killed for good, or stopped for a while. */
export class Host {
  readonly name: string;
  readonly clock: Clock;
  /** Its computing and its timers take this many times as long. */
  slowness = 1;
  #alive = true;
  #stopped = false;
  readonly #waiting: (() => void)[] = [];
  readonly #onKilled: (() => void)[] = [];

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.clock = clock;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  /** It neither computes nor answers. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Runs `act` here: now, when it goes on, or never. */
  run(act: () => void): void {
    if (!this.#alive) return;
    if (this.#stopped) this.#waiting.push(act);
    else act();
  }

  after(delayMs: number, act: () => void): void {
    this.clock.after(delayMs, () => this.run(act));
  }

  /** Work of `ms` milliseconds on a machine that is not slow. */
  compute(ms: number, act: () => void): void {
    this.after(ms * this.slowness, act);
  }

  onKilled(act: () => void): void {
    this.#onKilled.push(act);
  }

  stop(): void {
    this.#stopped = true;
  }

  goOn(): void {
    this.#stopped = false;
    while (!this.#stopped && this.#alive && this.#waiting.length > 0) this.#waiting.shift()!();
  }

  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#waiting.length = 0;
    for (const act of this.#onKilled.splice(0)) act();
  }
}
