// What follows when members suspect or accuse others, fail, or do not become ready: a verdict, which says why. The machine
// carries it out. Pure.

import type { ErrorCode } from '../src/errors.ts';
import type { Blame } from './blame.ts';
import { complaintMs } from './credit.ts';
import type { CoordinatorEffect, FromWorker } from './effects.ts';
import { forgetLater, letInLater, pardonLater } from './exclusions.ts';
import { suspicionMs } from './suspicion.ts';
import { cannotReach, knownCode } from './tell.ts';
import type { Worker } from './worker-record.ts';

export type Verdict =
  | { readonly is: 'none' }
  /** All who are here connect anew, and compute the step again. */
  | { readonly is: 'again'; readonly why: string; readonly effects: readonly CoordinatorEffect[] }
  /** The run goes on without them; they may come back. */
  | {
      readonly is: 'leftOut';
      readonly workers: readonly Worker[];
      readonly why: string;
      readonly effects: readonly CoordinatorEffect[];
    }
  /** The run goes on without them, and they are not let in again. */
  | {
      readonly is: 'keptOut';
      readonly workers: readonly Worker[];
      readonly what: string;
      readonly effects: readonly CoordinatorEffect[];
    }
  /** Nobody can go on. */
  | {
      readonly is: 'over';
      readonly code: ErrorCode;
      readonly message: string;
      readonly at: { readonly step: number; readonly phase?: string };
    };

const none: Verdict = { is: 'none' };

/** Let in again after a while; after each further time a longer one. */
function leftOutForAWhile(
  workers: readonly Worker[],
  why: string,
  blame: Blame,
  leastMs: (workerId: string) => number = () => 0,
): Verdict & { readonly is: 'leftOut' } {
  const effects = workers.map(({ hello }): CoordinatorEffect => {
    const { workerId } = hello!;
    return letInLater(workerId, blame.exclusions.exclude(workerId, leastMs(workerId)));
  });
  return { is: 'leftOut', workers, why, effects };
}

/** The forming of a membership took too long. */
export function verdictOnLate(late: readonly Worker[], blame: Blame): Verdict {
  return leftOutForAWhile(late, 'it does not become ready', blame, (workerId) => blame.heldUp(workerId));
}

/** A member says that it cannot reach another. How often it says so makes no difference. */
export function suspected(
  by: Worker,
  suspicion: Extract<FromWorker, { type: 'suspect' }>,
  members: readonly Worker[],
  blame: Blame,
): CoordinatorEffect[] {
  const { generation, rank, why, broken } = suspicion;
  const of = members[rank];
  if (of === undefined || of === by) return [];
  const added = blame.suspicions.add({ by: members.indexOf(by), rank, why, broken });
  if (added === 'known') return [];
  const notice = { do: 'notice', message: cannotReach(by, of, why) } as const;
  const timer = { do: 'setTimer', timer: { kind: 'suspicion', generation }, ms: suspicionMs } as const;
  return added === 'first' ? [notice, timer] : [notice];
}

/** Whoever is suspected was given time to say so itself. */
export function verdictOnSuspicions(members: readonly Worker[], blame: Blame): Verdict {
  const suspicion = blame.suspicions.verdict();
  const of = suspicion === null ? undefined : members[suspicion.rank];
  if (suspicion === null || of === undefined) return none;
  const by = members[blame.suspicions.soleWord(suspicion.rank) ?? -1];
  const isBelieved = by === undefined || isWordEnough(by, of, members, blame);
  const worker = isBelieved ? of : by;
  // With a pardon it is forgotten as well, and one who is not believed needs none.
  const forgotten = isBelieved ? [] : [forgetLater(of.hello!.workerId, complaintMs.suspicion)];
  const { workerId } = worker.hello!;
  if (suspicion.broken && blame.exclusions.pardons(workerId)) {
    const effects = [pardonLater(workerId), ...forgotten];
    return { is: 'again', why: `all connect anew: ${suspicion.why}`, effects };
  }
  const why = isBelieved
    ? `the others cannot go on with it: ${suspicion.why}`
    : `it alone cannot go on with one after another: ${suspicion.why}`;
  const verdict = leftOutForAWhile([worker], why, blame);
  return { ...verdict, effects: [...verdict.effects, ...forgotten] };
}

/** Between two nobody else can tell. */
function isWordEnough(by: Worker, about: Worker, members: readonly Worker[], blame: Blame): boolean {
  return blame.credit.believes(by.hello!.workerId, about.hello!.workerId) || members.length <= 2;
}

/** What came from others cannot be right. Where it is not known from whom, the step is computed again and looked at: of what
    comes while a membership forms, there is none. */
export function verdictOnAccusation(
  by: Worker,
  { ranks, step, what, generation }: Extract<FromWorker, { type: 'accuse' }>,
  { members, isRunning }: { readonly members: readonly Worker[]; readonly isRunning: boolean },
  blame: Blame,
): Verdict {
  const accused = ranks.map((rank) => members[rank]).find((worker) => worker !== undefined && worker !== by);
  if (isRunning && accused !== undefined) blame.lookAt(step);
  if (accused !== undefined) return verdictOnAccused(by, accused, what, members, blame);
  return isRunning ? verdictOnDoubt(by, { step, what, generation }, blame) : none;
}

/**
 * One at a time: what else is wrong shows when the step is computed again. On one worker's word one goes for good; then the
 * others must say so too.
 */
function verdictOnAccused(
  by: Worker,
  accused: Worker,
  what: string,
  members: readonly Worker[],
  blame: Blame,
): Verdict {
  const got = `worker ${by.hello!.workerId} got from it ${what}`.slice(0, 1_000);
  const forgotten = forgetLater(accused.hello!.workerId, complaintMs.accusation);
  if (isWordEnough(by, accused, members, blame))
    return { is: 'keptOut', workers: [accused], what: got, effects: [forgotten] };
  const why = `it alone accuses one after another, now worker ${accused.hello!.workerId}: ${what}`;
  const verdict = leftOutForAWhile([by], why.slice(0, 1_000), blame);
  return { ...verdict, effects: [...verdict.effects, forgotten] };
}

/** It costs everybody a membership: who doubts one thing twice, or time and again, goes on without the others for a while. */
function verdictOnDoubt(
  by: Worker,
  { step, what, generation }: Pick<Extract<FromWorker, { type: 'accuse' }>, 'step' | 'what' | 'generation'>,
  blame: Blame,
): Verdict {
  const { workerId } = by.hello!;
  const doubt = blame.doubts(step, generation, workerId);
  if (doubt === 'notFinite') {
    const message = `step ${step} is not finite: ${what}`;
    return { is: 'over', code: 'LOCKSTEP_NOT_FINITE', message, at: { step } };
  }
  if (doubt === 'verify' && blame.exclusions.pardons(workerId)) {
    const why = `step ${step} is computed again, and what the workers send each other is looked at: ${what}`;
    return { is: 'again', why, effects: [pardonLater(workerId)] };
  }
  return leftOutForAWhile([by], `it alone says that step ${step} is not finite`, blame);
}

/** What a worker cannot do ends the run where no other is left; else that worker is left out. */
export function verdictOnFailure(
  worker: Worker,
  failure: Extract<FromWorker, { type: 'failure' }>,
  isLast: boolean,
): Verdict {
  const { step, phase } = failure;
  if (isLast) return { is: 'over', ...failureOf(worker, failure), at: { step, phase } };
  return { is: 'leftOut', workers: [worker], why: whatFailed(failure), effects: [] };
}

/** A worker's failure as the error of the run. */
export function failureOf(
  { hello }: Worker,
  failure: Extract<FromWorker, { type: 'failure' }>,
): { readonly code: ErrorCode; readonly message: string } {
  const message = `worker ${hello!.workerId} failed ${whatFailed(failure)}`;
  return { code: knownCode(failure.code), message };
}

function whatFailed({ step, phase, message }: Extract<FromWorker, { type: 'failure' }>): string {
  return `${step > 0 ? `in step ${step}, ` : ''}${phase}: ${message}`;
}

/** Members say that the model has gone bad. It ends the run when two say so, or the last one: one alone may compute wrongly. */
export function verdictOnClaims({ claims }: Blame, isLast: boolean): Verdict {
  const { first } = claims;
  if (first === null || !(claims.isConfirmed || isLast)) return none;
  const { message, step, phase } = first;
  return { is: 'over', code: 'LOCKSTEP_NOT_FINITE', message, at: { step, phase } };
}
