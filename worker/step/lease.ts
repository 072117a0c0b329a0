// How long a step may take before somebody is to blame for it: learned from the steps before, not guessed. Pure.

/** A lease is so many times what recent steps took, within floor and ceiling, in milliseconds. */
export const leaseLimits = { multiple: 10, floorMs: 3_000, ceilingMs: 300_000, remembered: 16 } as const;

/** The lease on a share of a step's shards. One for the life of a worker: it outlives memberships. */
export class ShardLease {
  /** Of the last steps, in milliseconds a shard. */
  readonly #recentMs: number[] = [];

  /** A step whose largest share was so many shards took `ms` milliseconds. */
  took(ms: number, shards: number): void {
    this.#recentMs.push(ms / shards);
    if (this.#recentMs.length > leaseLimits.remembered) this.#recentMs.shift();
  }

  /**
   * For a step whose largest share is so many shards, in milliseconds. `besidesMs`: work of another kind that some may still be
   * at, as long as it took here. As long as can be while nothing is known.
   */
  ms(shards: number, besidesMs = 0): number {
    if (this.#recentMs.length === 0) return leaseLimits.ceilingMs;
    const expectedMs = Math.max(...this.#recentMs) * shards + besidesMs;
    const { multiple, floorMs, ceilingMs } = leaseLimits;
    return Math.min(ceilingMs, Math.max(floorMs, multiple * expectedMs));
  }
}

/**
 * Time that was waited, told at every look at the clock. A process that was stopped or suspended meanwhile waited for nothing:
 * a look that comes late counts for little.
 */
export class Waiting {
  #ms = 0;
  #lookedMs: number;
  readonly #lookMsMax: number;

  /** `lookMsMax`: most that may lie between two looks, in milliseconds. */
  constructor(nowMs: number, lookMsMax: number) {
    this.#lookedMs = nowMs;
    this.#lookMsMax = lookMsMax;
  }

  /** What was waited for is here. */
  restart(nowMs: number): void {
    this.#ms = 0;
    this.#lookedMs = nowMs;
  }

  /** Milliseconds waited so far. */
  look(nowMs: number): number {
    this.#ms += Math.min(this.#lookMsMax, nowMs - this.#lookedMs);
    this.#lookedMs = nowMs;
    return this.#ms;
  }
}
