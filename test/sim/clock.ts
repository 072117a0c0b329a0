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

interface Timer {
  /** By the host's own clock. */
  readonly atMs: number;
  readonly act: () => void;
}

/** What comes first when a process wakes: timers that are due, or what came meanwhile. */
export type WakeOrder = 'timers' | 'arrivals';

/**
 * A process: killed for good, or stopped for a while. Its timers follow its own clock, which may jump; its lanes may be slow,
 * or stick while everything else here goes on.
 */
export class Host {
  readonly name: string;
  readonly clock: Clock;
  /** Its computing takes this many times as long. */
  slowness = 1;
  /** It was slowed, stopped or set to another time, or its lanes stuck. */
  wasHurt = false;
  /** How often it woke and read first what had come. */
  wakesThatHear = 0;
  #alive = true;
  #stopped = false;
  #stoppedMs = 0;
  #aheadMs = 0;
  #lanesStick = false;
  #stickForEver = false;
  readonly #timers = new Set<Timer>();
  readonly #waiting: (() => void)[] = [];
  readonly #computed: (() => void)[] = [];
  readonly #onKilled: (() => void)[] = [];

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.clock = clock;
  }

  get lanesStick(): boolean {
    return this.#lanesStick;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  /** It neither computes nor answers. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** As its own clock says. */
  get nowMs(): number {
    return this.clock.nowMs + this.#aheadMs;
  }

  /** Runs `act` here: now, when it goes on, or never. */
  run(act: () => void): void {
    if (!this.#alive) return;
    if (this.#stopped) this.#waiting.push(act);
    else act();
  }

  /** In true time: what arrives, or comes of what was done here. */
  after(delayMs: number, act: () => void): void {
    this.clock.after(delayMs, () => this.run(act));
  }

  /** By this host's clock: early or late where that jumps. */
  timer(delayMs: number, act: () => void): void {
    const timer = { atMs: this.nowMs + delayMs, act };
    this.#timers.add(timer);
    this.#arm(timer);
  }

  /** Work of `ms` milliseconds on lanes that are not slow. */
  compute(ms: number, act: () => void): void {
    this.after(ms * this.slowness, () => {
      if (this.#lanesStick) this.#computed.push(act);
      else act();
    });
  }

  /** No lane comes back from what it does; all else goes on. */
  stickLanes(forEver = false): void {
    this.wasHurt = true;
    this.#lanesStick = true;
    this.#stickForEver ||= forEver;
  }

  freeLanes(): void {
    if (this.#stickForEver) return;
    this.#lanesStick = false;
    for (const act of this.#computed.splice(0)) this.run(act);
  }

  /** The clock says later, or earlier (`ms` below zero), all at once. */
  jump(ms: number): void {
    this.wasHurt = true;
    this.#aheadMs += ms;
    if (!this.#stopped) this.#armAll();
  }

  onKilled(act: () => void): void {
    this.#onKilled.push(act);
  }

  stop(): void {
    this.wasHurt = true;
    if (!this.#stopped) this.#stoppedMs = this.clock.nowMs;
    this.#stopped = true;
  }

  /** `clockStood`: the time that it was stopped does not count for its timers. */
  goOn(first: WakeOrder = 'arrivals', clockStood = false): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    if (clockStood) this.#aheadMs -= this.clock.nowMs - this.#stoppedMs;
    if (first === 'timers') this.#fireDue();
    else this.wakesThatHear += 1;
    while (!this.#stopped && this.#alive && this.#waiting.length > 0) this.#waiting.shift()!();
    this.#armAll();
  }

  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#waiting.length = 0;
    this.#timers.clear();
    for (const act of this.#onKilled.splice(0)) act();
  }

  /** May be armed more than once: it fires once. */
  #arm(timer: Timer): void {
    this.clock.after(Math.max(0, timer.atMs - this.nowMs), () => {
      if (this.#stopped || !this.#timers.has(timer)) return;
      if (timer.atMs - this.nowMs > 1e-6) this.#arm(timer);
      else this.#fire(timer);
    });
  }

  #armAll(): void {
    for (const timer of this.#timers) this.#arm(timer);
  }

  #fire(timer: Timer): void {
    if (this.#timers.delete(timer)) timer.act();
  }

  #fireDue(): void {
    const due = [...this.#timers].filter(({ atMs }) => atMs <= this.nowMs).sort((a, b) => a.atMs - b.atMs);
    for (const timer of due) this.#fire(timer);
  }
}
