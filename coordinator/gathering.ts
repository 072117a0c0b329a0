// Whether a run that has not begun, or is taken up again, goes on with the workers that are here or waits for more.
// Pure; a decision says why.

import type { CoordinatorEffect } from './effects.ts';
import type { RunFacts, Worker } from './worker-record.ts';

/** How long a run that is taken up again waits for the members it had, from the first that is back, in milliseconds. */
const gatherAgainMs = 1_000;

type GatheringFacts = Pick<RunFacts, 'generation' | 'workersWanted' | 'membersBefore'>;

export class Gathering {
  readonly #facts: GatheringFacts;
  /** Members of the newest generation that do not come back: those that did have seen their connections end. */
  readonly #gone = new Set<string>();

  constructor(facts: GatheringFacts) {
    this.#facts = facts;
  }

  /** The member of this rank in the newest generation is gone, says another that was in it. */
  gone(by: Worker, rank: number): void {
    const { generation, membersBefore } = this.#facts;
    if (by.memberOf !== generation || !membersBefore.includes(by.hello!.workerId)) return;
    const workerId = membersBefore[rank];
    if (workerId !== undefined) this.#gone.add(workerId);
  }

  /** What is told and set while others are waited for: the first that is back starts the time. */
  waitsWith(present: readonly Worker[]): CoordinatorEffect[] {
    const { workersWanted, membersBefore } = this.#facts;
    const message = `${present.length} of ${workersWanted} workers are here`;
    const timer = { do: 'setTimer', timer: { kind: 'gathering' }, ms: gatherAgainMs } as const;
    const isFirst = present.length === 1 && membersBefore.length > 0;
    return [{ do: 'notice', message }, ...(isFirst ? [timer] : [])];
  }

  /** Why the run goes on with those who are here; null while others are worth waiting for. */
  reason(present: readonly Worker[]): string | null {
    const { workersWanted, membersBefore } = this.#facts;
    // Workers that are new have no state: they do not begin before those that may have one.
    if (membersBefore.length === 0) return present.length >= workersWanted ? 'all workers are here' : null;
    const here = new Set(present.map(({ hello }) => hello!.workerId));
    const isComplete = membersBefore.every((workerId) => here.has(workerId) || this.#gone.has(workerId));
    return here.size > 0 && isComplete ? 'all that are left are back' : null;
  }
}
