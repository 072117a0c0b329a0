// Who is not let in for now, or not at all in this run: those whom the others could not reach a moment ago, and those who
// sent what they must not. Pure.

import type { Refusal } from './admission.ts';
import type { CoordinatorEffect } from './effects.ts';

/** A worker that the others could not go on with is let in again after this long, in milliseconds; after each further
    time twice as long, up to the most. */
const exclusionMs = { first: 5_000, most: 300_000 } as const;

/** A verdict is taken back after this long, in milliseconds. */
const pardonMs = 300_000;

export function pardonLater(workerId: string): CoordinatorEffect {
  return { do: 'setTimer', timer: { kind: 'pardon', workerId }, ms: pardonMs };
}

/** After what Exclusions.exclude said. */
export function letInLater(workerId: string, ms: number): CoordinatorEffect {
  return { do: 'setTimer', timer: { kind: 'exclusion', workerId }, ms };
}

/** The word of one alone against this worker; see Credit. */
export function forgetLater(workerId: string, ms: number): CoordinatorEffect {
  return { do: 'setTimer', timer: { kind: 'complaint', workerId }, ms };
}

interface VerdictTimer {
  readonly kind: 'exclusion' | 'pardon';
  readonly workerId: string;
}

export class Exclusions {
  readonly #unreachable = new Set<string>();
  /** How often each was suspected by a verdict, of late. */
  readonly #times = new Map<string, number>();
  readonly #quarantined: Map<string, string>;

  /** `quarantined`: by the coordinators before. */
  constructor(quarantined: ReadonlyMap<string, string>) {
    this.#quarantined = new Map(quarantined);
  }

  /** It stays: this happened once of late and may be nobody's fault, as a connection that broke or a doubt. */
  pardons(workerId: string): boolean {
    if (this.#times.has(workerId)) return false;
    this.#times.set(workerId, 1);
    return true;
  }

  /** For as many milliseconds as it returns, and `leastMs`. */
  exclude(workerId: string, leastMs = 0): number {
    const times = this.#times.get(workerId) ?? 0;
    this.#times.set(workerId, times + 1);
    this.#unreachable.add(workerId);
    return Math.max(leastMs, Math.min(exclusionMs.most, exclusionMs.first * 2 ** times));
  }

  /** What was set for later. */
  due({ kind, workerId }: VerdictTimer): CoordinatorEffect[] {
    if (kind === 'exclusion') {
      this.#unreachable.delete(workerId);
      return [pardonLater(workerId)];
    }
    const times = this.#times.get(workerId) ?? 0;
    if (times > 1) this.#times.set(workerId, times - 1);
    else this.#times.delete(workerId);
    return [];
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
