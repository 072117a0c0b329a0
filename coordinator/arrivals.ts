// When workers that are ready are taken in. Before the run goes on that is gathering.ts's to say. While it goes on, a membership
// costs everybody a moment: those who come soon after each other are taken in together, and a stream of them must not keep the
// run from going on. So a membership that forms is left to form (who came meanwhile would have made it begin anew, again and
// again), and once it stands it takes a step before the next. Joiners are taken in when a step was just told: what is given up
// then has only begun. A change that must be made anyway takes them in at once. Pure; who forms says why.

import type { CoordinatorEffect, Timer } from './effects.ts';
import { Gathering } from './gathering.ts';
import type { PresentMembership } from './present-membership.ts';
import type { Roster } from './roster.ts';
import type { RunFacts, Worker } from './worker-record.ts';

/** From the first who is ready to the moment from which all who are ready by then may be taken in, in milliseconds. */
const joinTogetherMs = 250;

/** Nobody waits for longer, in milliseconds: no membership takes that long to form, and no step to be taken. */
const joinAtLatestMs = 300_000;

/** A membership is to be formed, for this reason; or it is waited, and this is told and set. */
export type Decision = { readonly form: string } | { readonly wait: CoordinatorEffect[] };

const nothing: Decision = { wait: [] };

export class Arrivals {
  readonly #facts: RunFacts;
  readonly #roster: Roster;
  readonly #present: PresentMembership;
  readonly #gathering: Gathering;
  /** What joiners wait for, since the newest membership was formed. */
  #until: 'oneIsReady' | 'othersMayBe' | 'stepTold' = 'oneIsReady';

  constructor(facts: RunFacts, roster: Roster, present: PresentMembership) {
    this.#facts = facts;
    this.#roster = roster;
    this.#present = present;
    this.#gathering = new Gathering(facts);
  }

  /** A new membership, or a pause: all who could be taken in were. */
  formed(): void {
    this.#until = 'oneIsReady';
  }

  /** This worker is. */
  ready(worker: Worker, phase: 'gathering' | 'aligning' | 'running' | 'paused'): Decision {
    const { workerId } = worker.hello!;
    const { shards } = this.#facts;
    const { members } = this.#present;
    if (phase === 'gathering') return this.#gather();
    if (phase === 'paused') return { form: joinedText([worker]) };
    if (members.length >= shards) {
      const message = `worker ${workerId} is a spare: all ${shards} shards have theirs`;
      return { wait: [{ do: 'notice', message }] };
    }
    // The last one that leaves, and was told to end, may tell no step any more.
    if (phase === 'running' && members.every(({ leaving }) => leaving)) return this.takeIn();
    return { wait: this.#wait(workerId) };
  }

  /** Those who wait, where somebody does. */
  takeIn(): Decision {
    // A replay would begin anew; those who wait are members of the generation after it.
    if (this.#present.isAlone) return nothing;
    const joiners = this.#roster.members(this.#facts.shards).filter((worker) => !this.#present.has(worker));
    return joiners.length === 0 ? nothing : { form: joinedText(joiners) };
  }

  /** A step of the newest membership was. Nobody is taken in behind the last one. */
  stepTold(step: number): Decision {
    return this.#until === 'stepTold' && step < this.#facts.endStep ? this.takeIn() : nothing;
  }

  /** What was set for later, and was not overtaken. */
  due(kind: 'joining' | 'joinAtLatest'): Decision {
    if (this.#until === 'oneIsReady') return nothing;
    this.#until = kind === 'joining' ? 'stepTold' : 'oneIsReady';
    return kind === 'joining' ? nothing : this.takeIn();
  }

  /** Whoever is waited for before the run goes on had its time. */
  gatheredLong(): Decision {
    return this.#roster.present().length > 0 ? { form: 'no more are waited for' } : nothing;
  }

  /** The member of this rank, before the run was taken up again, does not come back. */
  neverBack(by: Worker, rank: number): Decision {
    this.#gathering.gone(by, rank);
    const reason = this.#gathering.reason(this.#roster.present());
    return reason === null ? nothing : { form: reason };
  }

  /** Goes on, or waits: for all before a first step, for the members before, and not for long, when taken up again. */
  #gather(): Decision {
    const present = this.#roster.present();
    const reason = this.#gathering.reason(present);
    return reason === null ? { wait: this.#gathering.waitsWith(present) } : { form: reason };
  }

  #wait(workerId: string): CoordinatorEffect[] {
    const notice = { do: 'notice', message: `worker ${workerId} is ready to be taken in` } as const;
    if (this.#until !== 'oneIsReady') return [notice];
    this.#until = 'othersMayBe';
    const { generation } = this.#present;
    const timer = (kind: 'joining' | 'joinAtLatest'): Timer => ({ kind, generation });
    return [
      notice,
      { do: 'setTimer', timer: timer('joining'), ms: joinTogetherMs },
      { do: 'setTimer', timer: timer('joinAtLatest'), ms: joinAtLatestMs },
    ];
  }
}

const namesMax = 3;

function joinedText(joiners: readonly Worker[]): string {
  const names = joiners.map(({ hello }) => hello!.workerId);
  const more = names.length > namesMax ? [`${names.length - namesMax} more`] : [];
  return `worker ${[...names.slice(0, namesMax), ...more].join(' and ')} joined`;
}
