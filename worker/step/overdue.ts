// What a step that outlasts its lease leads to (I/O: a timer). The own lanes are to blame where they run for so long; those
// whose parts are missing where there was nothing else to wait for. Told anew after each lease.

import { LockstepError } from '../../src/errors.ts';
import { type ShardLease, Waiting } from './lease.ts';

export interface OverdueOptions {
  readonly lease: ShardLease;
  /** Shards of the largest share of a step. */
  readonly shards: number;
  /** What the steps are at, in people's words: 'step 7, all-reduce'. */
  readonly where: () => string;
  readonly lanesBusy: () => boolean;
  /** Ranks whose own parts are missing. */
  readonly waitingFor: () => readonly number[];
  readonly onLanesStuck: (error: LockstepError) => void;
  readonly onPeerOverdue: (rank: number, why: string) => void;
}

/** Between two looks, in milliseconds. */
const lookMs = 250;

export class OverdueWatch {
  readonly #options: OverdueOptions;
  readonly #waiting: Waiting;
  readonly #timer: NodeJS.Timeout;
  #besidesMs = 0;

  constructor(options: OverdueOptions) {
    this.#options = options;
    this.#waiting = new Waiting(performance.now(), 2 * lookMs);
    this.#timer = setInterval(() => this.#look(), lookMs).unref();
  }

  /** A step, or a part of other work, came to its end; `besidesMs` of other work others may still be at. */
  progressed(besidesMs = 0): void {
    this.#besidesMs = besidesMs;
    this.#waiting.restart(performance.now());
  }

  /** The own lanes begin, or are through: what is waited for now is another thing. */
  turned(): void {
    this.#waiting.restart(performance.now());
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { lease, shards, lanesBusy, onLanesStuck, onPeerOverdue } = this.#options;
    const leaseMs = lease.ms(shards, this.#besidesMs);
    if (this.#waiting.look(performance.now()) <= leaseMs) return;
    const late = `${this.#options.where()} has taken more than ${(leaseMs / 1000).toFixed(1)} s`;
    if (lanesBusy()) {
      this.end();
      const message = `the compute threads of this worker are stuck: ${late}; its process has to be started anew`;
      onLanesStuck(new LockstepError('LOCKSTEP_LANES_STUCK', message));
      return;
    }
    this.turned();
    for (const rank of this.#options.waitingFor()) onPeerOverdue(rank, `${late}, and its part is missing`);
  }
}
