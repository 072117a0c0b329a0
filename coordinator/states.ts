// The states of a generation's members, as the digests that they tell show them: whether all agree, what is kept of it, and where
// all go back to the newest checkpoint because they do not. Pure; the machine carries a ruling out.

import { Agreement, type Comparison } from './agreement.ts';
import { Replay } from './replay.ts';
import { nothing, type Ruling } from './ruling.ts';
import type { Worker } from './worker-record.ts';

export class States {
  readonly #replay: Replay;
  readonly #endStep: number;
  #members: readonly Worker[] = [];
  /** Where the newest replay ended. */
  #replayedTo: number | null = null;
  /** Each member computes all shards itself. */
  #isAlone = false;
  /** On the states after the steps of this generation. */
  #agreement = new Agreement(0);
  /** On where its steps ended, under step 0. */
  #ends = new Agreement(0);
  /** Steps whose snapshots came, and wait until the members agree on them. */
  readonly #snapshots = new Set<number>();

  constructor({ replayTo, endStep }: { readonly replayTo: number | null; readonly endStep: number }) {
    this.#replay = new Replay(replayTo);
    this.#endStep = endStep;
  }

  /** The last step that is computed again; null where the run goes on. */
  get replayTo(): number | null {
    return this.#replay.to;
  }

  /** A new generation. */
  formed(members: readonly Worker[]): void {
    this.#members = members;
    this.#isAlone = this.#replay.to !== null;
    this.#agreement = new Agreement(members.length);
    this.#ends = new Agreement(members.length);
    this.#snapshots.clear();
  }

  /** Whether what members send each other in this step is looked at: the first after a replay, as whoever was wrong may be again. */
  verifies(step: number): boolean {
    return this.#replayedTo !== null && step === this.#replayedTo + 1;
  }

  /** What came from a member in this step cannot be right, and nobody else can say whose fault it is: why all go back. */
  doubted(step: number, what: string): string {
    const to = this.#replay.begin(step, this.#endStep, new Map());
    return `${what}: all go back to the newest checkpoint, and each computes up to step ${to} alone`.slice(
      0,
      1_500,
    );
  }

  /** A member told the digest of its state after `step`. */
  told(rank: number, step: number, digest: number): Ruling {
    return this.#rule(rank, step, this.#agreement.tell(rank, step, digest));
  }

  /** The snapshot of `step` came from rank 0, which tells its digest before. */
  snapshotCame(step: number, digest: number): Ruling {
    if (this.#agreement.digestOf(0, step) !== digest) {
      const what = `it sent a snapshot of step ${step} that is not the state of which it told the digest`;
      return { is: 'wrong', ranks: [0], what };
    }
    this.#snapshots.add(step);
    return this.#agreement.isAgreed(step) ? this.#agreed(step) : nothing;
  }

  /** A member came to the end of its steps. */
  ended(rank: number, { step, weightsSha256 }: NonNullable<Worker['finished']>): Ruling {
    if (this.#agreement.digestOf(rank, step) === undefined) {
      const what = `it came to the end at step ${step} and told no digest of its state`;
      return { is: 'wrong', ranks: [rank], what };
    }
    return this.#rule(rank, step, this.#ends.tell(rank, 0, `${step} ${weightsSha256}`));
  }

  /** All came to the end of the replay, and agree: why the next generation forms. */
  replayed(step: number): string {
    this.#replayedTo = step;
    const wrong = this.#replay.end((each) => this.#agreement.digestOf(0, each));
    const whose = wrong.length === 0 ? '' : `; before, worker ${wrong.join(' and ')} had another state`;
    return `all workers agree on the state after step ${step}, computed by each alone${whose}`;
  }

  #rule(rank: number, step: number, comparison: Comparison): Ruling {
    switch (comparison.is) {
      case 'open':
        return nothing;
      case 'agreed':
        return this.#agreed(step);
      case 'unlike': {
        const what = `it told two unlike digests of its state after step ${step}`;
        return { is: 'wrong', ranks: [rank], what };
      }
      case 'different':
        return this.#isAlone ? this.#settled(step, comparison.odd) : this.#goesBack(step);
      default:
        return comparison satisfies never;
    }
  }

  #agreed(step: number): Ruling {
    return this.#snapshots.delete(step) ? { is: 'agreed', step } : nothing;
  }

  /** Nobody knows whose state is right. */
  #goesBack(step: number): Ruling {
    const told = this.#members.flatMap(({ hello }, rank): [string, number | string][] => {
      const digest = this.#agreement.digestOf(rank, step);
      return digest === undefined ? [] : [[hello!.workerId, digest]];
    });
    const to = this.#replay.begin(step, this.#endStep, new Map(told));
    const reason =
      `the workers' states after step ${step} differ: all go back to the newest checkpoint, on which they agreed, and each ` +
      `computes up to step ${to} alone`;
    return { is: 'form', reason };
  }

  /** Each computed alone, from the same state: whoever a majority contradicts computes wrongly. */
  #settled(step: number, odd: readonly number[] | null): Ruling {
    if (odd === null) return nothing;
    if (odd.length > 0) {
      const what = `computing up to step ${step} alone it comes to another state than most`;
      return { is: 'wrong', ranks: odd, what };
    }
    if (this.#replay.repeats()) {
      const reason = `the workers' states after step ${step} differ again, and are computed once more`;
      return { is: 'form', reason };
    }
    const names = this.#members.map(({ hello }) => hello!.workerId).join(' and ');
    const what =
      `workers ${names} compute step ${step} differently, each alone from the same state, and there is no majority: one of ` +
      'the machines computes wrongly';
    return { is: 'undecided', what, step };
  }
}
