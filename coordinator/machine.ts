// The coordinator as a pure machine: what workers say and what happens to them goes in, what is to be done comes out.
// Every change (a join, a leave, a loss, a suspicion) is one mechanism: a new generation, in which all members give up the
// step in flight, whoever is behind heals from one who is not, and the step is computed again. Bulk data is the shell's.

import type { ErrorCode } from '../src/errors.ts';
import { Arrivals, type Decision } from './arrivals.ts';
import { Complaints, claimedAlone } from './complaints.ts';
import { departureOf, mustHandOver } from './departure.ts';
import type { CoordinatorEffect, CoordinatorEvent, FromMember, FromWorker, Timer } from './effects.ts';
import { greetingOf } from './greeting.ts';
import { PresentMembership } from './present-membership.ts';
import { Progress, type StepResult } from './progress.ts';
import { endingOf } from './results.ts';
import { Roster } from './roster.ts';
import type { Ruling } from './ruling.ts';
import { States } from './states.ts';
import { Takeover } from './takeover.ts';
import {
  closeAll,
  type FailedAt,
  pausedText,
  sendFailure,
  sendKeptOut,
  sendRefusal,
  sendTo,
  stoppedText,
  undecidedText,
} from './tell.ts';
import type { Decision as Exclusion } from './who-to-exclude.ts';
import type { Hello, RunFacts, Worker } from './worker-record.ts';

type Phase = 'gathering' | 'aligning' | 'running' | 'paused' | 'over';

export class CoordinatorMachine {
  readonly #facts: RunFacts;
  readonly #roster = new Roster();
  #phase: Phase = 'gathering';
  #stopRequested = false;
  readonly #progress: Progress;
  readonly #present: PresentMembership;
  readonly #complaints: Complaints;
  readonly #arrivals: Arrivals;
  readonly #takeover: Takeover;
  readonly #states: States;
  /** When the event that is handled came, in milliseconds of any clock. */
  #nowMs = 0;

  constructor(facts: RunFacts) {
    this.#facts = facts;
    this.#progress = new Progress(facts);
    this.#present = new PresentMembership(facts, this.#progress);
    this.#arrivals = new Arrivals(facts, this.#roster, this.#present);
    this.#takeover = new Takeover(facts);
    this.#states = new States(facts);
    this.#complaints = new Complaints({ roster: this.#roster, present: this.#present, states: this.#states });
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

  handle(event: CoordinatorEvent, nowMs = 0): CoordinatorEffect[] {
    this.#nowMs = nowMs;
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
      case 'snapshotCame':
        return this.#rule(this.#states.snapshotCame(event.step, event.digest));
      case 'snapshotWhole':
        this.#progress.snapshotWhole(event.step);
        return this.#rule(this.#complaints.refuted(event.step));
      case 'checkpointed':
        this.#progress.checkpointed(event.step);
        return this.#phase === 'running' ? this.#finishIfAll() : this.#alignIfAll();
      case 'failed':
        return this.#becomeFailed(event.code, event.message);
      case 'processEnded':
        return this.#rule(this.#complaints.processEnded(event.message));
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
        return this.#failed(worker, message);
      case 'ready':
        if (message.generation === 0) return this.#dataReady(worker);
        return this.#isMember(worker, message.generation) ? this.#memberReady(worker, message.digest) : [];
      case 'suspect':
        return this.#suspect(worker, message);
      default:
        return this.#isMember(worker, message.generation) ? this.#ofMember(worker, message) : [];
    }
  }

  #isMember(worker: Worker, generation: number): boolean {
    return generation === this.#generation && this.#present.has(worker);
  }

  /** Of this generation; anything of an older one was dropped. */
  #ofMember(worker: Worker, message: FromMember): CoordinatorEffect[] {
    switch (message.type) {
      case 'standing':
        return this.#standing(worker, message.hasState ? message.step : null);
      case 'accuse':
        return this.#rule(this.#complaints.accused(worker, message, this.#phase === 'running'));
      case 'digest':
        return this.#rule(this.#states.told(this.#rankOf(worker), message.step, message.digest));
      case 'report':
      case 'evaluation':
      case 'statePiece':
      case 'finished':
        return this.#result(worker, message);
      default:
        return message satisfies never;
    }
  }

  #hello(worker: Worker, hello: Hello): CoordinatorEffect[] {
    if (worker.hello !== null) return this.#misconduct([worker], 'it said hello twice');
    const { workerId, generation } = hello;
    const greeting = greetingOf(worker, hello, {
      facts: this.#facts,
      roster: this.#roster,
      present: this.#present,
      takeover: this.#takeover,
      excluded: this.#complaints.evidence.refusalOf(workerId, this.#nowMs),
    });
    if (greeting.is === 'takenOver') return this.#becomeFailed('LOCKSTEP_GENERATION_OVER', greeting.message);
    if (greeting.is === 'refused')
      return this.#refuse(worker, greeting.refusal.code, greeting.refusal.message);
    // Its old connection broke one way, or is about to be told so: the newer one counts.
    const dropped = greeting.before.flatMap((each) => this.#leftOut([each], 'it came anew'));
    worker.hello = hello;
    worker.memberOf = generation;
    return [...dropped, { do: 'welcome', connection: worker.connection, workerId }];
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
    const over = this.#rule(this.#complaints.wentBad());
    if (over.length > 0) return over;
    const members = this.#roster.members(this.#facts.shards);
    this.#complaints.evidence.formed();
    this.#arrivals.formed();
    const tooFew = members.length < Math.max(1, this.#facts.workersMin);
    return tooFew && !mustHandOver(members, this.#stopRequested)
      ? this.#becomePaused(members.length, reason)
      : this.#becomeAligning(members, reason);
  }

  #becomePaused(present: number, reason: string): CoordinatorEffect[] {
    this.#phase = 'paused';
    this.#present.dissolve();
    if (this.#stopRequested) return this.#stopped(`the run paused (${reason})`);
    const missing = Math.max(1, this.#facts.workersMin) - present;
    return [{ do: 'notice', message: pausedText(reason, missing) }];
  }

  #becomeAligning(members: Worker[], reason: string): CoordinatorEffect[] {
    this.#phase = 'aligning';
    this.#states.formed(members);
    return this.#present.form(members, reason, this.#states.replayTo);
  }

  #standing(worker: Worker, has: number | null): CoordinatorEffect[] {
    // A second copy must not align, and heal, a second time.
    if (this.#phase !== 'aligning' || worker.standing !== undefined) return [];
    // The run may have got shorter while workers went on: what lies beyond its end is no state of it.
    worker.standing = has !== null && has > this.#facts.steps ? null : has;
    return this.#alignIfAll();
  }

  #alignIfAll(): CoordinatorEffect[] {
    return this.#phase === 'aligning' ? this.#present.alignIfAll((step) => this.#states.verifies(step)) : [];
  }

  #memberReady(worker: Worker, digest: number): CoordinatorEffect[] {
    const { startStep } = this.#present;
    if (this.#phase !== 'aligning' || startStep === null) return [];
    worker.ready = true;
    const effects = this.#rule(this.#states.told(this.#rankOf(worker), startStep, digest));
    if (effects.length > 0 || !this.#present.isReady) return effects;
    if (this.#stopRequested && this.#present.isAlone) return this.#stopped('steps were computed again');
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
    const rank = this.#rankOf(worker);
    const judged = this.#progress.result(rank, worker, result);
    if ('problem' in judged) return this.#misconduct([worker], judged.problem);
    if (result.type === 'finished') return this.#memberFinished(worker, result);
    const isStep = result.type === 'report' && !this.#stopRequested;
    return [...judged.news, ...(isStep ? this.#decided(this.#arrivals.stepTold(result.step)) : [])];
  }

  #misconduct(workers: readonly Worker[], what: string): CoordinatorEffect[] {
    return this.#rule(this.#complaints.certain(this.#nowMs, workers, what));
  }

  /** The run goes on without them; where it is certain that they do wrong they are told so. */
  #exclude({ workers, reason, isCertain }: Exclusion): CoordinatorEffect[] {
    if (workers.length === 0) return this.#reform(reason);
    const gone = workers.flatMap((workerId) => this.#roster.called(workerId) ?? []);
    return [...(isCertain ? sendKeptOut(gone, reason) : []), ...this.#leftOut(gone, reason)];
  }

  #memberFinished(worker: Worker, finished: StepResult & { type: 'finished' }): CoordinatorEffect[] {
    const waits = this.#present.firstFinished();
    worker.finished = finished;
    const effects = this.#rule(this.#states.ended(this.#rankOf(worker), finished));
    return effects.length > 0 ? effects : [...waits, ...this.#finishIfAll()];
  }

  #rankOf(worker: Worker): number {
    return this.#members.indexOf(worker);
  }

  #rule(ruling: Ruling): CoordinatorEffect[] {
    switch (ruling.is) {
      case 'nothing':
        return [];
      case 'wait':
        return [...ruling.effects];
      case 'agreed':
        return [{ do: 'keep', step: ruling.step }];
      case 'wrong': {
        const workers = ruling.ranks.flatMap((rank) => this.#members[rank] ?? []);
        return workers.length === 0 ? [] : this.#misconduct(workers, ruling.what);
      }
      case 'excluded':
        return this.#exclude(ruling.decision);
      case 'gone':
        return this.#leftOut(ruling.workers, ruling.why);
      case 'refuted':
        // Its process ends in order: that of one wrong worker must not end the run.
        return [...sendTo(ruling.workers, { type: 'released' }), ...this.#gone(ruling.workers, ruling.why)];
      case 'form':
        return this.#reform(ruling.reason);
      case 'undecided': {
        const text = undecidedText(ruling.what, this.#progress.checkpointStep);
        return this.#becomeFailed('LOCKSTEP_WEIGHTS_DIFFER', text, { step: ruling.step });
      }
      case 'over':
        return this.#becomeFailed(ruling.code, ruling.message, ruling.at);
      default:
        return ruling satisfies never;
    }
  }

  #stopped(during: string): CoordinatorEffect[] {
    return this.#becomeFailed('LOCKSTEP_STOPPED', stoppedText(during, this.#progress.checkpointStep));
  }

  #finishIfAll(): CoordinatorEffect[] {
    const endStep = this.#stopRequested ? 0 : this.#facts.endStep;
    const ending = endingOf(this.#members, endStep, this.#progress);
    switch (ending.is) {
      case 'notYet':
        return [];
      case 'tooEarly':
        return this.#states.replayTo === ending.step
          ? this.#reform(this.#states.replayed(ending.step))
          : this.#reform(`all stopped at step ${ending.step}, and were not told to`);
      case 'claimedAlone':
        return this.#rule(claimedAlone(ending.worker));
      case 'handedOver':
        return [...this.#release(this.#members[0]!), ...this.#reform('the last worker left')];
      case 'end':
        this.#phase = 'over';
        return [{ do: 'end', step: ending.step, weightsSha256: ending.weightsSha256 }];
    }
  }

  #stop(): CoordinatorEffect[] {
    this.#stopRequested = true;
    if (this.#phase === 'running') {
      // Each is at a step of its own.
      if (this.#present.isAlone) return this.#stopped('steps were computed again');
      return this.#present.tell({ type: 'stop', generation: this.#generation });
    }
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
    return sendTo([worker], { type: 'released' });
  }

  #suspect(by: Worker, suspicion: FromWorker & { type: 'suspect' }): CoordinatorEffect[] {
    const { generation, rank } = suspicion;
    if (this.#phase === 'gathering' && generation === this.#generation) {
      return this.#decided(this.#arrivals.neverBack(by, rank));
    }
    return this.#isMember(by, generation) ? this.#rule(this.#complaints.suspected(by, suspicion)) : [];
  }

  #timer(timer: Timer): CoordinatorEffect[] {
    if (timer.kind === 'gathering') {
      return this.#phase === 'gathering' ? this.#decided(this.#arrivals.gatheredLong()) : [];
    }
    if (timer.generation !== this.#generation) return [];
    switch (timer.kind) {
      case 'evidence':
        return this.#rule(this.#complaints.due(this.#nowMs));
      case 'replaying':
        return this.#late(this.#members.filter(({ finished }) => finished === null));
      case 'forming':
        return this.#phase === 'aligning' ? this.#formsLate(timer) : [];
      case 'joining':
      case 'joinAtLatest':
        return this.#stopRequested ? [] : this.#decided(this.#arrivals.due(timer.kind));
    }
  }

  #formsLate(timer: Timer): CoordinatorEffect[] {
    const late = this.#present.late();
    return late.length > 0 ? this.#late(late) : this.#present.waitsOn(timer);
  }

  #late(workers: readonly Worker[]): CoordinatorEffect[] {
    return this.#rule(this.#complaints.late(this.#nowMs, workers));
  }

  #closed({ connection, why, misconduct }: CoordinatorEvent & { is: 'closed' }): CoordinatorEffect[] {
    const worker = this.#roster.at(connection);
    if (worker === undefined) return [];
    const isBad = misconduct === true && worker.hello !== null;
    return isBad ? this.#misconduct([worker], why) : this.#gone([worker], why);
  }

  /** The run goes on without them. */
  #leftOut(workers: readonly Worker[], why: string): CoordinatorEffect[] {
    return [...closeAll(workers), ...this.#gone(workers, why)];
  }

  #gone(workers: readonly Worker[], why: string): CoordinatorEffect[] {
    for (const worker of workers) this.#roster.remove(worker);
    const names = workers.flatMap(({ hello }) => hello?.workerId ?? []);
    if (names.length === 0) return [];
    const reason = `worker ${names.join(' and ')} is gone: ${why}`;
    const wasMember = workers.some((worker) => this.#members.includes(worker));
    return wasMember ? this.#reform(reason) : [{ do: 'notice', message: reason }];
  }

  #failed(worker: Worker, message: FromWorker & { type: 'failure' }): CoordinatorEffect[] {
    const isRunning = this.#phase === 'running';
    const effects = this.#rule(this.#complaints.failed(worker, message, isRunning));
    // Where the others finished before it, nothing else will end the wait.
    return effects.length === 0 && isRunning ? this.#finishIfAll() : effects;
  }

  #refuse(worker: Worker, code: ErrorCode, message: string): CoordinatorEffect[] {
    this.#roster.remove(worker);
    return sendRefusal(worker, code, message);
  }

  /** Everybody who is here ends with the same error. */
  #becomeFailed(code: ErrorCode, message: string, at: FailedAt = {}): CoordinatorEffect[] {
    this.#phase = 'over';
    const failed = sendFailure(this.#roster.named(), code, message, { ...at, generation: this.#generation });
    return [...failed, { do: 'fail', code, message }];
  }
}
