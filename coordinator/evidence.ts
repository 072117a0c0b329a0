// What speaks against members of the present generation, until it is over, and who is not let in for now. Nothing else is
// remembered of anybody: who-to-exclude.ts decides. Pure.

import type { Refusal } from './admission.ts';
import {
  type Decision,
  type Exclusion,
  type Evidence as Facts,
  type Pair,
  whoToExclude,
} from './who-to-exclude.ts';
import type { Worker } from './worker-record.ts';

/** From what the first says of another to the decision, in milliseconds: others say the same, or a socket that a worker died. */
export const evidenceMs = 300;

interface Excluded extends Exclusion {
  readonly reason: string;
  readonly isCertain: boolean;
}

const idOf = ({ hello }: Worker): string => hello!.workerId;

export class Evidence {
  #pairs: Pair[] = [];
  readonly #excluded = new Map<string, Excluded>();

  /** A new generation: whoever is in it may go on with the others. */
  formed(): void {
    this.#pairs = [];
  }

  /** What two members cannot do with each other: the first that was said, new, or known already. */
  add(pair: Pair): 'first' | 'new' | 'known' {
    const { by, about, kind } = pair;
    if (this.#pairs.some((each) => each.by === by && each.about === about && each.kind === kind))
      return 'known';
    this.#pairs.push(pair);
    return this.#pairs.length === 1 ? 'first' : 'new';
  }

  /** What came from a member that cannot be right, said first; null where nothing of the kind was said. */
  get wrong(): Pair | null {
    return this.#pairs.find(({ kind }) => kind === 'wrong') ?? null;
  }

  /** On what is known of pairs, and on this. */
  decide(
    nowMs: number,
    members: readonly Worker[],
    facts: Partial<Pick<Facts, 'certain' | 'late'>> = {},
  ): Decision | null {
    const evidence = { certain: [], late: [], ...facts, pairs: this.#pairs, before: this.#excluded };
    const decision = whoToExclude(nowMs, { members: members.map(idOf), ...evidence });
    if (decision === null) return null;
    const { exclusions, reason, isCertain } = decision;
    for (const [workerId, exclusion] of exclusions) {
      this.#excluded.set(workerId, { ...exclusion, reason, isCertain });
    }
    return decision;
  }

  /** Why this worker is not let in now; null where it is. */
  refusalOf(workerId: string, nowMs: number): Refusal | null {
    const excluded = this.#excluded.get(workerId);
    if (excluded === undefined || excluded.untilMs <= nowMs) return null;
    const { reason, isCertain } = excluded;
    return isCertain
      ? keptOut(workerId, reason)
      : {
          code: 'LOCKSTEP_CONNECT_FAILED',
          message: 'the other workers could not reach this one a moment ago',
        };
  }
}

/** Its process ends, and may be started anew. */
export function keptOut(workerId: string, reason: string): Refusal {
  const message = `worker ${workerId} is kept out of this run: ${reason}`;
  return { code: 'LOCKSTEP_PROTOCOL', message: message.slice(0, 1_000) };
}
