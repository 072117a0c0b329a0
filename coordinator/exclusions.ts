// Who is not let in for now, or not at all in this run: those whom the others could not reach a moment ago, and those who
// sent what they must not. Pure.

import type { Refusal } from './admission.ts';

/** A worker that the others could not go on with is let in again after this long, in milliseconds; after each further
    time twice as long, up to the most. */
const exclusionMs = { first: 5_000, most: 300_000 } as const;

export class Exclusions {
  readonly #unreachable = new Set<string>();
  /** How often each was excluded. */
  readonly #times = new Map<string, number>();
  readonly #quarantined: Map<string, string>;

  /** `quarantined`: by the coordinators before. */
  constructor(quarantined: ReadonlyMap<string, string>) {
    this.#quarantined = new Map(quarantined);
  }

  /** Until readmit(), which is due after as many milliseconds as it returns. */
  exclude(workerId: string): number {
    this.#unreachable.add(workerId);
    const times = this.#times.get(workerId) ?? 0;
    this.#times.set(workerId, times + 1);
    return Math.min(exclusionMs.most, exclusionMs.first * 2 ** times);
  }

  readmit(workerId: string): void {
    this.#unreachable.delete(workerId);
  }

  /** For the rest of the run; `what` it did, to be told. */
  quarantine(workerId: string, what: string): void {
    if (!this.#quarantined.has(workerId)) this.#quarantined.set(workerId, what);
  }

  refusalOf(workerId: string): Refusal | null {
    const what = this.#quarantined.get(workerId);
    if (what !== undefined) {
      const message = `worker ${workerId} is kept out of this run: ${what}`;
      return { code: 'LOCKSTEP_PROTOCOL', message: message.slice(0, 1_000) };
    }
    if (!this.#unreachable.has(workerId)) return null;
    const message = 'the other workers could not reach this one a moment ago';
    return { code: 'LOCKSTEP_CONNECT_FAILED', message };
  }
}
