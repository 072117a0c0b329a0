// What members of the present generation say of each other, and of the model: what follows from it, once others had the time to
// say the same. Pure.

import type { ErrorCode } from '../src/errors.ts';
import { Claims } from './claims.ts';
import type { FromWorker } from './effects.ts';
import { Evidence, evidenceMs } from './evidence.ts';
import { failureOf, whatFailed } from './failure.ts';
import { formingMs } from './membership.ts';
import type { PresentMembership } from './present-membership.ts';
import type { Roster } from './roster.ts';
import { nothing, type Ruling } from './ruling.ts';
import type { States } from './states.ts';
import { cannotReach } from './tell.ts';
import type { Decision, Pair } from './who-to-exclude.ts';
import type { Worker } from './worker-record.ts';

export interface ComplaintsOptions {
  readonly roster: Roster;
  readonly present: PresentMembership;
  readonly states: States;
}

/** The others wait for it, or came to the end of their steps. */
export const claimedAlone = ({ hello }: Worker): Ruling => ({
  is: 'form',
  reason: `worker ${hello!.workerId} says that the model has diverged; the step is computed without it`,
});

const excluded = (decision: Decision | null): Ruling =>
  decision === null ? nothing : { is: 'excluded', decision };

export class Complaints {
  readonly #roster: Roster;
  readonly #present: PresentMembership;
  readonly #states: States;
  readonly evidence = new Evidence();
  readonly #claims = new Claims();
  /** What a worker that was left out for it failed with. */
  #failure: { readonly code: ErrorCode; readonly message: string } | null = null;

  constructor({ roster, present, states }: ComplaintsOptions) {
    this.#roster = roster;
    this.#present = present;
    this.#states = states;
  }

  /** A member cannot reach another. Where each computes alone nobody has to. */
  suspected(by: Worker, { rank, why, broken }: FromWorker & { type: 'suspect' }): Ruling {
    const about = this.#present.isAlone ? undefined : this.#present.members[rank];
    if (about === undefined) return nothing;
    const found = this.#paired(by, about, { kind: broken ? 'broken' : 'unreachable', what: why });
    const notice = { do: 'notice', message: cannotReach(by, about, why) } as const;
    return found.is === 'wait' ? { is: 'wait', effects: [notice, ...found.effects] } : found;
  }

  /** What came from others cannot be right. Where it is not known from whom, all compute the step alone. */
  accused(by: Worker, { ranks, step, what }: FromWorker & { type: 'accuse' }, isRunning: boolean): Ruling {
    // Of what comes while a membership forms, there is no step.
    if (this.#present.isAlone || (ranks.length === 0 && !isRunning)) return nothing;
    if (ranks.length === 0) return { is: 'form', reason: this.#states.doubted(step, what) };
    const abouts = ranks.flatMap((rank) => this.#present.members[rank] ?? []);
    const effects = abouts.flatMap((about) => {
      const found = this.#paired(by, about, { kind: 'wrong', what, step });
      return found.is === 'wait' ? found.effects : [];
    });
    return { is: 'wait', effects };
  }

  /** The first of a generation is decided a little later: others may say the same. */
  #paired(by: Worker, about: Worker, pair: Pick<Pair, 'kind' | 'what' | 'step'>): Ruling {
    if (by === about) return nothing;
    const [one, other] = [by, about].map(({ hello }) => hello!.workerId);
    const added = this.evidence.add({ by: one!, about: other!, ...pair });
    if (added === 'known') return nothing;
    const timer = { kind: 'evidence', generation: this.#present.generation } as const;
    return { is: 'wait', effects: added === 'first' ? [{ do: 'setTimer', timer, ms: evidenceMs }] : [] };
  }

  /** That time is over: whoever is dead was given it to say so itself. */
  due(nowMs: number): Ruling {
    // It waits for the verdict on its claim, and so the others wait for it.
    const claimant = this.#claimant;
    if (claimant !== undefined) return claimedAlone(claimant);
    const decision = this.evidence.decide(nowMs, this.#present.members);
    const { wrong } = this.evidence;
    if (decision !== null || wrong === null) return excluded(decision);
    const what = `worker ${wrong.by} got from worker ${wrong.about} ${wrong.what}`;
    return { is: 'form', reason: this.#states.doubted(wrong.step ?? 0, what) };
  }

  /** The others waited for them. */
  late(nowMs: number, workers: readonly Worker[]): Ruling {
    const late = against(workers, 'it does not become ready').map((each) => ({
      ...each,
      waitedMs: formingMs,
    }));
    return excluded(this.evidence.decide(nowMs, this.#present.members, { late }));
  }

  /** The coordinator itself received what cannot be right, or a majority contradicts them. */
  certain(nowMs: number, workers: readonly Worker[], what: string): Ruling {
    return excluded(this.evidence.decide(nowMs, this.#present.members, { certain: against(workers, what) }));
  }

  /** A worker cannot go on. */
  failed(worker: Worker, message: FromWorker & { type: 'failure' }, isRunning: boolean): Ruling {
    worker.failed = true;
    const { code, step, phase } = message;
    const { generation, members } = this.#present;
    if (code === 'LOCKSTEP_NOT_FINITE' && worker.memberOf === generation && generation > 0) {
      const { workerId } = worker.hello!;
      this.#claims.add({ workerId, rank: members.indexOf(worker), step, phase, message: message.message });
      return this.#claimed(worker, isRunning);
    }
    const failure = failureOf(worker, message);
    // Its process is started anew: another failure than that one ends the run.
    if (code !== 'LOCKSTEP_LANES_STUCK') this.#failure = failure;
    // It ends the run where no other is left.
    return this.#present.has(worker) && this.#roster.nobodyStays()
      ? { is: 'over', ...failure, at: { step, phase } }
      : { is: 'gone', workers: [worker], why: whatFailed(message) };
  }

  /** While the run runs the other members come to the same claim, or go on without this one. It stays connected meanwhile. */
  #claimed(worker: Worker, isRunning: boolean): Ruling {
    if (isRunning && this.#present.members.some(({ failed }) => !failed)) return nothing;
    const over = this.wentBad();
    return over.is === 'over' ? over : claimedAlone(worker);
  }

  /** Members say that the model has gone bad: it ends the run when two say so, or the last one. One alone may compute wrongly. */
  wentBad(): Ruling {
    const { first, isConfirmed } = this.#claims;
    if (first === null || !(isConfirmed || this.#roster.nobodyStays())) return nothing;
    const { message, step, phase } = first;
    return { is: 'over', code: 'LOCKSTEP_NOT_FINITE', message, at: { step, phase } };
  }

  /** The state after `step` is finite: whoever claimed otherwise computes wrongly. */
  refuted(step: number): Ruling {
    const workers = this.#claims.refutedBy(step).flatMap((id) => this.#roster.called(id) ?? []);
    const why = 'it alone says that the model has diverged';
    return workers.length === 0 ? nothing : { is: 'refuted', workers, why };
  }

  /** A worker process of this host ended by itself: with what it, or all that are left, told before, else with how it ended. */
  processEnded(how: string): Ruling {
    const over = this.wentBad();
    if (over.is === 'over') return over;
    const failure = this.#failure ?? { code: 'LOCKSTEP_WORKER_FAILED', message: how };
    return { is: 'over', ...failure, at: { step: 0, phase: 'coordinator' } };
  }

  get #claimant(): Worker | undefined {
    return this.#present.members.find(({ failed }) => failed);
  }
}

const against = (
  workers: readonly Worker[],
  what: string,
): { readonly workerId: string; readonly what: string }[] =>
  workers.map(({ hello }) => ({ workerId: hello!.workerId, what }));
