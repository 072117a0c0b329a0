// The coordinator as a pure machine: what workers say and what happens to them goes in, what is to be done comes out.
// Every change (a join, a leave, a loss, a suspicion) is one mechanism: a new generation, in which all members give up the
// step in flight, whoever is behind heals from one who is not, and the step is computed again. Bulk data is the shell's.

import type { ErrorCode } from '../src/errors.ts';
import { refusalOf } from './admission.ts';
import { Arrivals, type Decision } from './arrivals.ts';
import { Blame } from './blame.ts';
import { departureOf, mustHandOver } from './departure.ts';
import type { CoordinatorEffect, CoordinatorEvent, FromWorker, Timer } from './effects.ts';
import { formingMs } from './membership.ts';
import { PresentMembership } from './present-membership.ts';
import { Progress, type StepResult } from './progress.ts';
import { endingOf } from './results.ts';
import { Roster } from './roster.ts';
import { Takeover, takenOverText } from './takeover.ts';
import { pausedText, sendFailure, sendRefusal } from './tell.ts';
import {
  failureOf,
  suspected,
  type Verdict,
  verdictOnAccusation,
  verdictOnClaims,
  verdictOnFailure,
  verdictOnLate,
  verdictOnSuspicions,
} from './verdict.ts';
import type { Hello, RunFacts, Worker } from './worker-record.ts';

type Phase = 'gathering' | 'aligning' | 'running' | 'paused' | 'over';

export class CoordinatorMachine {
  readonly #facts: RunFacts;
  readonly #roster = new Roster();
  #phase: Phase = 'gathering';
  #stopRequested = false;
  readonly #progress: Progress;
  readonly #present: PresentMembership;
  readonly #blame: Blame;
  readonly #arrivals: Arrivals;
  readonly #takeover: Takeover;
  /** What a worker that was left out for it failed with. */
  #failure: { readonly code: ErrorCode; readonly message: string } | null = null;

  constructor(facts: RunFacts) {
    this.#facts = facts;
    this.#progress = new Progress(facts);
    this.#present = new PresentMembership(facts, this.#progress);
    this.#blame = new Blame(facts.quarantined);
    this.#arrivals = new Arrivals(facts, this.#roster, this.#present);
    this.#takeover = new Takeover(facts);
  }

  get phase(): Phase {
    return this.#phase;
  }

  get runId(): string {
    return this.#facts.runId;
  }

  get #generation(): number {
    return this.#present.generation;
  }

  get #members(): readonly Worker[] {
    return this.#present.members;
  }

  handle(event: CoordinatorEvent): CoordinatorEffect[] {
    if (this.#phase === 'over') return [];
    switch (event.is) {
      case 'connected':
        this.#roster.connected(event.connection, event.address);
        return [];
      case 'message': {
        const worker = this.#roster.at(event.connection);
        return worker === undefined ? [] : this.#message(worker, event.message);
      }
      case 'closed':
        return this.#closed(event);
      case 'misconduct':
        return this.#closed({ ...event, is: 'closed', why: event.what, misconduct: true });
      case 'stop':
        return this.#stop();
      case 'timer':
        return this.#timer(event.timer);
      case 'snapshotWhole':
        this.#progress.snapshotWhole(event.step);
        return this.#refuted(event.step);
      case 'checkpointed':
        this.#progress.checkpointed(event.step);
        return this.#phase === 'running' ? this.#finishIfAll() : this.#alignIfAll();
      case 'failed':
        return this.#becomeFailed(event.code, event.message);
      case 'processEnded':
        return this.#becomeFailed(
          this.#failure?.code ?? 'LOCKSTEP_WORKER_FAILED',
          this.#failure?.message ?? event.message,
        );
      default:
        return event satisfies never;
    }
  }

  #message(worker: Worker, message: FromWorker): CoordinatorEffect[] {
    if (message.type !== 'hello' && worker.hello === null) {
      const what = `the first message must be hello, not ${message.type}`;
      return this.#refuse(worker, 'LOCKSTEP_PROTOCOL', what);
    }
    switch (message.type) {
      case 'hello':
        return this.#hello(worker, message);
      case 'dataRequest':
        if (worker.dataRequested) return this.#misconduct([worker], 'it asked for the data set twice');
        worker.dataRequested = true;
        return [{ do: 'sendData', connection: worker.connection }];
      case 'leave':
        return this.#leave(worker);
      case 'failure':
        return this.#workerFailed(worker, message);
      case 'ready':
        if (message.generation === 0) return this.#dataReady(worker);
        return this.#isMember(worker, message.generation) ? this.#memberReady(worker) : [];
      case 'suspect':
        return this.#suspect(worker, message);
      default:
        if (this.#isMember(worker, message.generation)) return this.#ofMember(worker, message);
        if (message.type === 'accuse') this.#confirm(worker.hello!.workerId, message);
        return [];
    }
  }

  #isMember(worker: Worker, generation: number): boolean {
    return generation === this.#generation && this.#present.has(worker);
  }

  /** Of this generation; anything of an older one was dropped. */
  #ofMember(
    worker: Worker,
    message: Extract<
      FromWorker,
      { type: 'standing' | 'accuse' | 'report' | 'evaluation' | 'statePiece' | 'finished' }
    >,
  ): CoordinatorEffect[] {
    switch (message.type) {
      case 'standing':
        return this.#standing(worker, message.hasState ? message.step : null);
      case 'accuse': {
        const among = { members: this.#members, isRunning: this.#phase === 'running' };
        return this.#enforce(verdictOnAccusation(worker, message, among, this.#blame));
      }
      case 'report':
      case 'evaluation':
      case 'statePiece':
      case 'finished':
        return this.#result(worker, message);
      default:
        return message satisfies never;
    }
  }

  /** Of a membership that is over: another was faster to say so. */
  #confirm(by: string, { generation, ranks }: Extract<FromWorker, { type: 'accuse' }>): void {
    for (const rank of ranks) {
      const about = this.#present.meantBy(by, generation, rank);
      if (about !== undefined) this.#blame.credit.confirms(by, about);
    }
  }

  #hello(worker: Worker, hello: Hello): CoordinatorEffect[] {
    const facts = this.#facts;
    if (worker.hello !== null) return this.#misconduct([worker], 'it said hello twice');
    const refusal =
      refusalOf(hello, facts, this.#present.numerics ?? this.#roster.firstHello()) ??
      this.#blame.exclusions.refusalOf(hello.workerId);
    if (refusal !== null) return this.#refuse(worker, refusal.code, refusal.message);
    if (hello.generation > this.#generation) return this.#knowsMore(worker, hello);
    const twin = this.#roster.called(hello.workerId);
    // Nobody puts another out by its name: where that is gone, its silence soon shows it.
    if (twin !== undefined && twin.address !== worker.address) {
      return this.#refuse(worker, 'LOCKSTEP_CONNECT_FAILED', 'a worker of this name is here already');
    }
    // Its old connection broke one way, or is about to be told so: the newer one counts.
    const dropped = twin === undefined ? [] : this.#leftOut([twin], 'it came anew');
    worker.hello = hello;
    worker.memberOf = hello.generation;
    return [...dropped, { do: 'welcome', connection: worker.connection, workerId: hello.workerId }];
  }

  /** Nobody but this coordinator makes generations: it ends when that is no longer so, and one word does not show it. */
  #knowsMore(worker: Worker, { workerId, generation }: Hello): CoordinatorEffect[] {
    const known = this.#generation;
    if (this.#takeover.isShown(workerId, { known, isDenied: this.#members.length > 0 })) {
      return this.#becomeFailed('LOCKSTEP_GENERATION_OVER', takenOverText(generation, known));
    }
    const message = `it comes with generation ${generation}, but the newest is ${known}`;
    return this.#refuse(worker, 'LOCKSTEP_CONNECT_FAILED', message);
  }

  /** The worker has the data set: generation 0 is the time before any membership. */
  #dataReady(worker: Worker): CoordinatorEffect[] {
    if (worker.hasData) return [];
    worker.hasData = true;
    return this.#decided(this.#arrivals.ready(worker, this.#phase as Exclude<Phase, 'over'>));
  }

  #decided(decision: Decision): CoordinatorEffect[] {
    return 'form' in decision ? this.#reform(decision.form) : decision.wait;
  }

  /** The one mechanism: whoever is here forms the next generation. */
  #reform(reason: string): CoordinatorEffect[] {
    const over = this.#enforce(verdictOnClaims(this.#blame, false));
    if (over.length > 0) return over;
    const members = this.#roster.members(this.#facts.shards);
    this.#blame.formed();
    this.#arrivals.formed();
    const tooFew = members.length < Math.max(1, this.#facts.workersMin);
    return tooFew && !mustHandOver(members, this.#stopRequested)
      ? this.#becomePaused(members.length, reason)
      : this.#becomeAligning(members, reason);
  }

  #becomePaused(present: number, reason: string): CoordinatorEffect[] {
    this.#phase = 'paused';
    this.#present.dissolve();
    if (this.#stopRequested) {
      const stays =
        this.#progress.checkpointStep === null ? 'there is no checkpoint' : 'the newest checkpoint stays';
      const message = `stopped while the run paused (${reason}); ${stays}`;
      return this.#becomeFailed('LOCKSTEP_STOPPED', message);
    }
    const missing = Math.max(1, this.#facts.workersMin) - present;
    return [{ do: 'notice', message: pausedText(reason, missing) }];
  }

  #becomeAligning(members: Worker[], reason: string): CoordinatorEffect[] {
    this.#phase = 'aligning';
    return this.#present.form(members, reason);
  }

  #standing(worker: Worker, has: number | null): CoordinatorEffect[] {
    // A second copy must not align, and heal, a second time.
    if (this.#phase !== 'aligning' || worker.standing !== undefined) return [];
    // The run may have got shorter while workers went on: what lies beyond its end is no state of it.
    worker.standing = has !== null && has > this.#facts.steps ? null : has;
    return this.#alignIfAll();
  }

  #alignIfAll(): CoordinatorEffect[] {
    return this.#phase === 'aligning' ? this.#present.alignIfAll(this.#blame) : [];
  }

  #memberReady(worker: Worker): CoordinatorEffect[] {
    if (this.#phase !== 'aligning') return [];
    worker.ready = true;
    if (!this.#present.isReady) return [];
    const leaver = this.#members.find(({ leaving }) => leaving);
    if (leaver !== undefined && this.#members.length > 1) {
      // All are at its state now.
      return [...this.#release(leaver), ...this.#reform(`worker ${leaver.hello!.workerId} left`)];
    }
    // The last one, and others wait: they heal from it.
    const takenIn = leaver === undefined ? [] : this.#decided(this.#arrivals.takeIn());
    if (takenIn.length > 0) return takenIn;
    this.#phase = 'running';
    const generation = this.#generation;
    return [
      ...this.#present.tell({ type: 'start', generation }),
      ...(this.#stopRequested || leaver ? this.#present.tell({ type: 'stop', generation }) : []),
    ];
  }

  #result(worker: Worker, result: StepResult): CoordinatorEffect[] {
    const judged = this.#progress.result(this.#members.indexOf(worker), worker, result);
    if ('problem' in judged) return this.#misconduct([worker], judged.problem);
    if (result.type === 'finished') {
      worker.finished = result;
      return this.#finishIfAll();
    }
    const isStep = result.type === 'report' && !this.#stopRequested;
    return [...judged.news, ...(isStep ? this.#decided(this.#arrivals.stepTold(result.step)) : [])];
  }

  /** They say what cannot be: the run goes on without them, and they are not let in again. */
  #misconduct(workers: readonly Worker[], what: string): CoordinatorEffect[] {
    const ids = workers.map(({ hello }) => hello!.workerId);
    for (const workerId of ids) this.#blame.exclusions.quarantine(workerId, what);
    const kept = ids.map((workerId): CoordinatorEffect => ({ do: 'quarantine', workerId, what }));
    return [...kept, ...this.#leftOut(workers, what)];
  }

  #finishIfAll(): CoordinatorEffect[] {
    // The others came to the end of their steps without the one that claims that a step has gone bad.
    const claimant = this.#members.find(({ failed }) => failed);
    if (claimant !== undefined) {
      const isEnd = this.#members.every(({ finished, failed }) => finished !== null || failed);
      return isEnd ? this.#reform(claimedAlone(claimant)) : [];
    }
    const endStep = this.#stopRequested ? 0 : this.#facts.endStep;
    const ending = endingOf(this.#members, endStep, this.#progress);
    switch (ending.is) {
      case 'notYet':
        return [];
      case 'different':
        return this.#becomeFailed('LOCKSTEP_WEIGHTS_DIFFER', ending.how);
      case 'tooEarly':
        return this.#reform(`all stopped at step ${ending.step}, and were not told to`);
      case 'oneDiffers':
        return this.#misconduct([ending.worker], ending.how);
      case 'handedOver':
        return [...this.#release(this.#members[0]!), ...this.#reform('the last worker left')];
      case 'end':
        this.#phase = 'over';
        return [{ do: 'end', step: ending.step, weightsSha256: ending.weightsSha256 }];
    }
  }

  #stop(): CoordinatorEffect[] {
    this.#stopRequested = true;
    if (this.#phase === 'running') return this.#present.tell({ type: 'stop', generation: this.#generation });
    if (this.#phase === 'aligning') return [];
    if (mustHandOver(this.#roster.present(), true)) return this.#reform('the run is to stop');
    return this.#phase === 'gathering'
      ? this.#becomeFailed('LOCKSTEP_STOPPED', 'stopped before the first step')
      : this.#becomePaused(0, 'no worker');
  }

  /** Free at once where another has what it has; else it hands over: to the others, or the last one a checkpoint. */
  #leave(worker: Worker): CoordinatorEffect[] {
    worker.leaving = true;
    const { workerId } = worker.hello!;
    switch (departureOf(worker, this.#phase as Exclude<Phase, 'over'>, this.#members)) {
      case 'whenAligned':
        return [];
      case 'form':
        return this.#reform(`worker ${workerId} hands over`);
      case 'checkpoint':
        return this.#present.tell({ type: 'stop', generation: this.#generation });
      case 'atOnce': {
        const isMember = this.#members.includes(worker);
        return [...this.#release(worker), ...(isMember ? this.#reform(`worker ${workerId} left`) : [])];
      }
    }
  }

  #release(worker: Worker): CoordinatorEffect[] {
    this.#roster.remove(worker);
    return [{ do: 'send', connection: worker.connection, message: { type: 'released' } }];
  }

  #suspect(by: Worker, suspicion: FromWorker & { type: 'suspect' }): CoordinatorEffect[] {
    const { generation, rank } = suspicion;
    if (this.#phase === 'gathering' && generation === this.#generation) {
      return this.#decided(this.#arrivals.neverBack(by, rank));
    }
    return this.#isMember(by, generation) ? suspected(by, suspicion, this.#members, this.#blame) : [];
  }

  #timer(timer: Timer): CoordinatorEffect[] {
    if (timer.kind === 'gathering') {
      return this.#phase === 'gathering' ? this.#decided(this.#arrivals.gatheredLong()) : [];
    }
    if ('workerId' in timer) return this.#blame.due(timer);
    if (timer.generation !== this.#generation) return [];
    switch (timer.kind) {
      case 'suspicion': {
        // It waits for the verdict on its claim, and so the others wait for it.
        const claimant = this.#members.find(({ failed }) => failed);
        if (claimant !== undefined) return this.#reform(claimedAlone(claimant));
        return this.#enforce(verdictOnSuspicions(this.#members, this.#blame));
      }
      case 'forming':
        return this.#phase === 'aligning' ? this.#late(timer) : [];
      case 'joining':
      case 'joinAtLatest':
        return this.#stopRequested ? [] : this.#decided(this.#arrivals.due(timer.kind));
    }
  }

  /** All as late as each other have the same time once more. */
  #late(timer: Timer): CoordinatorEffect[] {
    const late = this.#present.late();
    if (late.length > 0) return this.#enforce(verdictOnLate(late, this.#blame));
    const message = `generation ${this.#generation} takes long to form, with all of its workers`;
    return [
      { do: 'notice', message },
      { do: 'setTimer', timer, ms: formingMs },
    ];
  }

  #enforce(verdict: Verdict): CoordinatorEffect[] {
    switch (verdict.is) {
      case 'none':
        return [];
      case 'again':
        return [...verdict.effects, ...this.#reform(verdict.why)];
      case 'leftOut':
        return [...verdict.effects, ...this.#leftOut(verdict.workers, verdict.why)];
      case 'keptOut':
        return [...verdict.effects, ...this.#misconduct(verdict.workers, verdict.what)];
      case 'over':
        return this.#becomeFailed(verdict.code, verdict.message, verdict.at);
      default:
        return verdict satisfies never;
    }
  }

  #closed({ connection, why, misconduct }: CoordinatorEvent & { is: 'closed' }): CoordinatorEffect[] {
    const worker = this.#roster.at(connection);
    if (worker === undefined) return [];
    const isBad = misconduct === true && worker.hello !== null;
    return isBad ? this.#misconduct([worker], why) : this.#gone([worker], why);
  }

  /** The run goes on without them. */
  #leftOut(workers: readonly Worker[], why: string): CoordinatorEffect[] {
    const closed = workers.map(({ connection }): CoordinatorEffect => ({ do: 'close', connection }));
    return [...closed, ...this.#gone(workers, why)];
  }

  #gone(workers: readonly Worker[], why: string): CoordinatorEffect[] {
    for (const worker of workers) this.#roster.remove(worker);
    const names = workers.flatMap(({ hello }) => hello?.workerId ?? []);
    if (names.length === 0) return [];
    const reason = `worker ${names.join(' and ')} is gone: ${why}`;
    const wasMember = workers.some((worker) => this.#members.includes(worker));
    return wasMember ? this.#reform(reason) : [{ do: 'notice', message: reason }];
  }

  #workerFailed(worker: Worker, message: Extract<FromWorker, { type: 'failure' }>): CoordinatorEffect[] {
    worker.failed = true;
    const { code, message: text, step, phase } = message;
    const isOfNewest = worker.memberOf === this.#generation && this.#generation > 0;
    if (code === 'LOCKSTEP_NOT_FINITE' && isOfNewest) {
      const rank = this.#members.indexOf(worker);
      this.#blame.claims.add({ workerId: worker.hello!.workerId, rank, step, phase, message: text });
      return this.#claimed(worker);
    }
    const isLast = this.#present.has(worker) && this.#roster.nobodyStays();
    // Its process is started anew: another failure than that one ends the run.
    if (code !== 'LOCKSTEP_LANES_STUCK') this.#failure = failureOf(worker, message);
    return this.#enforce(verdictOnFailure(worker, message, isLast));
  }

  /** While the run runs the other members come to the same claim, or go on without this one. It stays connected meanwhile. */
  #claimed(worker: Worker): CoordinatorEffect[] {
    if (this.#phase === 'running' && this.#members.some(({ failed }) => !failed)) return [];
    const over = this.#enforce(verdictOnClaims(this.#blame, this.#roster.nobodyStays()));
    return over.length > 0 ? over : this.#reform(claimedAlone(worker));
  }

  /** The state after `step` is finite: whoever claimed otherwise computes wrongly. */
  #refuted(step: number): CoordinatorEffect[] {
    const workers = this.#blame.claims.refutedBy(step).flatMap((id) => this.#roster.called(id) ?? []);
    return workers.length === 0 ? [] : this.#leftOut(workers, 'it alone says that the model has gone bad');
  }

  #refuse(worker: Worker, code: ErrorCode, message: string): CoordinatorEffect[] {
    this.#roster.remove(worker);
    return sendRefusal(worker, code, message);
  }

  /** Everybody who is here ends with the same error. */
  #becomeFailed(
    code: ErrorCode,
    message: string,
    at: { readonly step?: number; readonly phase?: string } = {},
  ): CoordinatorEffect[] {
    this.#phase = 'over';
    const failed = sendFailure(this.#roster.named(), code, message, { ...at, generation: this.#generation });
    return [...failed, { do: 'fail', code, message }];
  }
}

const claimedAlone = ({ hello }: Worker): string =>
  `worker ${hello!.workerId} says that the model has gone bad; the step is computed without it`;
