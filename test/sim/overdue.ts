// What a simulated step that outlasts its lease leads to: worker/step/overdue.ts with the host's timers in place of Node's.

import type { AllReduce } from '../../worker/collective/all-reduce.ts';
import type { Swap } from '../../worker/collective/swap.ts';
import { type ShardLease, Waiting } from '../../worker/step/lease.ts';
import type { Host } from './clock.ts';

export interface OverdueOptions {
  readonly host: Host;
  readonly lease: ShardLease;
  /** Shards of the largest share of a step. */
  readonly shards: number;
  readonly lanesBusy: () => boolean;
  /** Ranks whose own parts are missing. */
  readonly waitingFor: () => readonly number[];
  readonly onLanesStuck: () => void;
  readonly onPeerOverdue: (rank: number, why: string) => void;
}

/** Between two looks, in milliseconds. */
const lookMs = 250;

export class OverdueWatch {
  readonly #options: OverdueOptions;
  readonly #waiting: Waiting;
  #besidesMs = 0;
  #isOver = false;

  constructor(options: OverdueOptions) {
    this.#options = options;
    this.#waiting = new Waiting(options.host.nowMs, 2 * lookMs);
    this.#lookSoon();
  }

  progressed(besidesMs = 0): void {
    this.#besidesMs = besidesMs;
    this.#waiting.restart(this.#options.host.nowMs);
  }

  turned(): void {
    this.#waiting.restart(this.#options.host.nowMs);
  }

  end(): void {
    this.#isOver = true;
  }

  #lookSoon(): void {
    this.#options.host.timer(lookMs, () => {
      if (this.#isOver) return;
      this.#look();
      this.#lookSoon();
    });
  }

  #look(): void {
    const { host, lease, shards, lanesBusy, waitingFor, onLanesStuck, onPeerOverdue } = this.#options;
    const leaseMs = lease.ms(shards, this.#besidesMs);
    if (this.#waiting.look(host.nowMs) <= leaseMs) return;
    if (lanesBusy()) {
      this.end();
      onLanesStuck();
      return;
    }
    this.turned();
    for (const rank of waitingFor()) onPeerOverdue(rank, `more than ${leaseMs} ms, and its part is missing`);
  }
}

/** Ranks whose own parts of this step are missing; where none is, those whose sums are. */
export function waitingFor(allReduce: AllReduce, swap: Swap, step: number): readonly number[] {
  const { partials, sums } = allReduce.missing(step);
  const own = new Set([...partials, ...swap.missing(step)]);
  return [...(own.size > 0 ? own : sums)];
}
