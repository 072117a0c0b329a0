// The coordinator as a pure machine: what workers say and what happens to them goes in, what is to be done comes out.
// Every change (a join, a leave, a loss, a suspicion) is one mechanism: a new generation, in which all members give up the
// step in flight, whoever is behind heals from one who is not, and the step is computed again. Bulk data is the shell's.

import { type ErrorCode, errorCodes } from '../src/errors.ts';
import { refusalOf } from './admission.ts';
import type {
  ConnectionId,
  CoordinatorEffect,
  CoordinatorEvent,
  FromWorker,
  Timer,
  ToWorker,
} from './effects.ts';
import { Exclusions } from './exclusions.ts';
import { alignmentOf, memberList } from './membership.ts';
import { MemberResults, weightsDifference } from './results.ts';
import { exclusionMs, Suspicions, suspicionMs } from './suspicion.ts';
import { type Hello, newWorker, type RunFacts, type Worker } from './worker-record.ts';

type Phase = 'gathering' | 'aligning' | 'running' | 'paused' | 'over';

export class CoordinatorMachine {
  readonly #facts: RunFacts;
  readonly #workers = new Map<ConnectionId, Worker>();
  #phase: Phase = 'gathering';
  #generation: number;
  #members: Worker[] = [];
  #stopRequested = false;
  #checkpointStep: number | null;
  /** Steps that were told: what is computed again is not told again. */
  #reported = 0;
  #evaluated = 0;
  readonly #suspicions = new Suspicions();
  readonly #exclusions = new Exclusions();
  #results: MemberResults;

  constructor(facts: RunFacts) {
    this.#facts = facts;
    this.#results = new MemberResults(facts, 0);
    this.#generation = facts.generation;
    this.#checkpointStep = facts.checkpointStep;
    this.#reported = facts.checkpointStep ?? 0;
    this.#evaluated = facts.checkpointStep ?? 0;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get runId(): string {
    return this.#facts.runId;
  }

  handle(event: CoordinatorEvent): CoordinatorEffect[] {
    if (this.#phase === 'over') return [];
    switch (event.is) {
      case 'connected':
        this.#workers.set(event.connection, newWorker(event.connection, event.address));
        return [];
      case 'message': {
        const worker = this.#workers.get(event.connection);
        return worker === undefined ? [] : this.#message(worker, event.message);
      }
      case 'closed':
        return this.#closed(event);
      case 'stop':
        return this.#stop();
      case 'gathered':
        return this.#phase === 'gathering' && this.#present().length > 0
          ? this.#reform('no more are waited for')
          : [];
      case 'timer':
        return this.#timer(event.timer);
      case 'checkpointed':
        this.#checkpointStep = Math.max(event.step, this.#checkpointStep ?? 0);
        return [];
      case 'failed':
        return this.#becomeFailed(event.code, event.message);
      default:
        return event satisfies never;
    }
  }

  #message(worker: Worker, message: FromWorker): CoordinatorEffect[] {
    if (message.type !== 'hello' && worker.hello === null) {
      return this.#refuse(
        worker,
        'LOCKSTEP_PROTOCOL',
        `the first message must be hello, not ${message.type}`,
      );
    }
    switch (message.type) {
      case 'hello':
        return this.#hello(worker, message);
      case 'dataRequest':
        if (worker.dataRequested)
          return this.#refuse(worker, 'LOCKSTEP_PROTOCOL', 'the data set was asked for twice');
        worker.dataRequested = true;
        return [{ do: 'sendData', connection: worker.connection }];
      case 'leave':
        return this.#leave(worker);
      case 'goodbye':
        return this.#lost(worker, `left: ${message.reason}`);
      case 'failure':
        return this.#workerFailed(worker, message);
      case 'ready':
        if (message.generation === 0) return this.#dataReady(worker);
        return this.#isMember(worker, message.generation) ? this.#memberReady(worker) : [];
      default:
        return this.#isMember(worker, message.generation) ? this.#ofMember(worker, message) : [];
    }
  }

  #isMember(worker: Worker, generation: number): boolean {
    return generation === this.#generation && this.#members.includes(worker);
  }

  /** Of this generation; anything of an older one was dropped. */
  #ofMember(
    worker: Worker,
    message: Extract<
      FromWorker,
      { type: 'standing' | 'suspect' | 'report' | 'evaluation' | 'statePiece' | 'finished' }
    >,
  ): CoordinatorEffect[] {
    switch (message.type) {
      case 'standing':
        return this.#standing(worker, message.hasState ? message.step : null);
      case 'suspect':
        return this.#suspect(worker, message.rank, message.why);
      case 'report':
        return this.#report(worker, message);
      case 'evaluation':
        return this.#evaluation(worker, message);
      case 'statePiece':
        return this.#members[0] === worker ? [{ do: 'statePiece', piece: message }] : [];
      case 'finished':
        return this.#finished(worker, message);
      default:
        return message satisfies never;
    }
  }

  #hello(worker: Worker, hello: Hello): CoordinatorEffect[] {
    const facts = this.#facts;
    if (worker.hello !== null) return this.#refuse(worker, 'LOCKSTEP_PROTOCOL', 'hello was said twice');
    if (hello.generation > this.#generation) {
      return this.#becomeFailed(
        'LOCKSTEP_GENERATION_OVER',
        `a worker knows of generation ${hello.generation}, but this coordinator only of ${this.#generation}: another has taken the run over`,
      );
    }
    const first = [...this.#workers.values()].find((other) => other.hello !== null)?.hello ?? null;
    const refusal = refusalOf(hello, facts, first) ?? this.#exclusions.refusalOf(hello.workerId);
    if (refusal !== null) return this.#refuse(worker, refusal.code, refusal.message);
    const twin = [...this.#workers.values()].find((other) => other.hello?.workerId === hello.workerId);
    // Its old connection broke one way, or is about to be told so: the newer one counts.
    const dropped: CoordinatorEffect[] =
      twin === undefined
        ? []
        : [{ do: 'close', connection: twin.connection }, ...this.#lost(twin, 'it came anew')];
    worker.hello = hello;
    return [...dropped, { do: 'welcome', connection: worker.connection, workerId: hello.workerId }];
  }

  /** Who can be a member: a last one that wants to leave stays until another has its state. */
  #present(): Worker[] {
    return [...this.#workers.values()].filter(
      (worker) => worker.hasData && (!worker.leaving || this.#members.includes(worker)),
    );
  }

  #nobodyStays(): boolean {
    return [...this.#workers.values()].every(({ hasData, leaving }) => !hasData || leaving);
  }

  /** The worker has the data set: generation 0 is the time before any membership. */
  #dataReady(worker: Worker): CoordinatorEffect[] {
    if (worker.hasData) return [];
    worker.hasData = true;
    const present = this.#present().length;
    const wanted = this.#facts.workersWanted;
    if (this.#phase === 'gathering' && present < wanted) {
      return [{ do: 'notice', message: `${present} of ${wanted} workers are here` }];
    }
    if (present > this.#facts.shards) {
      return this.#refuse(
        worker,
        'LOCKSTEP_USAGE',
        `the run has ${this.#facts.shards} shards, and a worker for each`,
      );
    }
    const reason =
      this.#phase === 'gathering' ? 'all workers are here' : `worker ${worker.hello!.workerId} joined`;
    return this.#reform(reason);
  }

  /** The one mechanism: whoever is here forms the next generation. */
  #reform(reason: string): CoordinatorEffect[] {
    const members = this.#present();
    this.#suspicions.clear();
    const tooFew = members.length < Math.max(1, this.#facts.workersMin);
    return tooFew ? this.#becomePaused(members.length, reason) : this.#becomeAligning(members, reason);
  }

  #becomePaused(present: number, reason: string): CoordinatorEffect[] {
    this.#phase = 'paused';
    this.#members = [];
    if (this.#stopRequested) {
      const message = `stopped while no worker was here (${reason}); the newest checkpoint stays`;
      return this.#becomeFailed('LOCKSTEP_STOPPED', message);
    }
    const missing = Math.max(1, this.#facts.workersMin) - present;
    const message = `${reason}; the run pauses until ${missing} more worker${missing > 1 ? 's' : ''} joined`;
    return [{ do: 'notice', message }];
  }

  #becomeAligning(members: Worker[], reason: string): CoordinatorEffect[] {
    const { shards, endStep } = this.#facts;
    this.#phase = 'aligning';
    this.#generation += 1;
    this.#members = members;
    this.#results = new MemberResults(this.#facts, members.length);
    const generation = this.#generation;
    const list = memberList(members, shards);
    for (const member of members) {
      member.standing = undefined;
      member.ready = false;
      member.finished = null;
    }
    const { backend, variant, fingerprint } = members[0]!.hello!;
    const summary = members.map(({ hello }) => ({ workerId: hello!.workerId, threads: hello!.threads }));
    const message = { type: 'membership', generation, members: list, endStep } as const;
    return [
      { do: 'journal', generation, workerIds: list.map(({ workerId }) => workerId) },
      { do: 'formed', generation, members: summary, backend, variant, fingerprint, reason },
      ...members.map(
        ({ connection }, rank) => ({ do: 'send', connection, message: { ...message, rank } }) as const,
      ),
    ];
  }

  #standing(worker: Worker, step: number | null): CoordinatorEffect[] {
    if (this.#phase !== 'aligning') return [];
    worker.standing = step;
    if (this.#members.some(({ standing }) => standing === undefined)) return [];
    const standings = this.#members.map(({ standing }, rank) => ({ rank, step: standing! }));
    const { step: newest, origin, source, behind, reason } = alignmentOf(standings, this.#checkpointStep);
    const generation = this.#generation;
    const evaluate = this.#facts.evaluateAfter(newest) && this.#evaluated < newest;
    const snapshot = this.#facts.checkpointAfter(newest) && (this.#checkpointStep ?? 0) < newest;
    const message = {
      type: 'align',
      generation,
      step: newest,
      origin,
      source,
      behind: [...behind],
      evaluate,
      snapshot,
    } as const;
    return [
      { do: 'aligned', step: newest, reason },
      ...this.#toMembers(message),
      ...(origin === 'checkpoint'
        ? behind.map(
            (rank): CoordinatorEffect => ({
              do: 'sendState',
              connection: this.#members[rank]!.connection,
              generation,
              step: newest,
            }),
          )
        : []),
    ];
  }

  #memberReady(worker: Worker): CoordinatorEffect[] {
    if (this.#phase !== 'aligning') return [];
    worker.ready = true;
    if (!this.#members.every((member) => member.ready)) return [];
    const leaver = this.#members.find(({ leaving }) => leaving);
    if (leaver !== undefined && this.#members.length > 1) {
      // All are at its state now.
      return [...this.#release(leaver), ...this.#reform(`worker ${leaver.hello!.workerId} left`)];
    }
    this.#phase = 'running';
    const generation = this.#generation;
    return [
      ...this.#toMembers({ type: 'start', generation }),
      ...(this.#stopRequested || leaver ? this.#toMembers({ type: 'stop', generation }) : []),
    ];
  }

  #toMembers(message: ToWorker): CoordinatorEffect[] {
    return this.#members.map(({ connection }) => ({ do: 'send', connection, message }));
  }

  /** Rank 0 speaks for all; the sums of every shard are there. */
  #report(worker: Worker, report: Extract<FromWorker, { type: 'report' }>): CoordinatorEffect[] {
    if (this.#members[0] !== worker || report.step <= this.#reported) return [];
    const problem = this.#results.problemOfReport(report);
    if (problem !== null) return this.#misconduct(worker, problem);
    this.#reported = report.step;
    return [{ do: 'stepReport', report }];
  }

  #evaluation(worker: Worker, part: Extract<FromWorker, { type: 'evaluation' }>): CoordinatorEffect[] {
    const problem = this.#results.problemOfPart(this.#members.indexOf(worker), part);
    if (problem !== null) return this.#misconduct(worker, problem);
    const parts = this.#results.add(this.#members.indexOf(worker), part);
    if (parts === null || part.step <= this.#evaluated) return [];
    this.#evaluated = part.step;
    return [{ do: 'evaluation', step: part.step, parts }];
  }

  /** It says what cannot be: the run goes on without it, and it is not let in again. */
  #misconduct(worker: Worker, what: string): CoordinatorEffect[] {
    this.#exclusions.quarantine(worker.hello!.workerId, what);
    return [{ do: 'close', connection: worker.connection }, ...this.#lost(worker, what)];
  }

  #finished(worker: Worker, message: Extract<FromWorker, { type: 'finished' }>): CoordinatorEffect[] {
    worker.finished = message;
    if (!this.#members.every(({ finished }) => finished !== null)) return [];
    const difference = weightsDifference(this.#members);
    if (difference !== null) return this.#becomeFailed('LOCKSTEP_WEIGHTS_DIFFER', difference);
    if (!this.#stopRequested && message.step < this.#facts.endStep) {
      // The last worker left, and has handed its state over as a checkpoint.
      const effects = this.#release(worker);
      return [...effects, ...this.#reform('the last worker left')];
    }
    this.#phase = 'over';
    return [{ do: 'end', step: message.step, weightsSha256: message.weightsSha256 }];
  }

  #stop(): CoordinatorEffect[] {
    this.#stopRequested = true;
    if (this.#phase === 'gathering')
      return this.#becomeFailed('LOCKSTEP_STOPPED', 'stopped before the first step');
    if (this.#phase === 'paused') return this.#becomePaused(0, 'no worker');
    return this.#phase === 'running' ? this.#toMembers({ type: 'stop', generation: this.#generation }) : [];
  }

  /** The last one finishes its step and hands over a checkpoint; any other is free at once, the others go on. */
  #leave(worker: Worker): CoordinatorEffect[] {
    worker.leaving = true;
    const isMember = this.#members.includes(worker);
    if (isMember && this.#nobodyStays()) {
      return this.#phase === 'running' ? this.#toMembers({ type: 'stop', generation: this.#generation }) : [];
    }
    const effects = this.#release(worker);
    return isMember ? [...effects, ...this.#reform(`worker ${worker.hello!.workerId} left`)] : effects;
  }

  #release(worker: Worker): CoordinatorEffect[] {
    this.#workers.delete(worker.connection);
    return [{ do: 'send', connection: worker.connection, message: { type: 'released' } }];
  }

  #suspect(by: Worker, rank: number, why: string): CoordinatorEffect[] {
    const suspected = this.#members[rank];
    if (suspected === undefined || suspected === by) return [];
    const isFirst = this.#suspicions.add(this.#members.indexOf(by), rank);
    const message = `worker ${by.hello!.workerId} cannot reach worker ${suspected.hello!.workerId}: ${why}`;
    const timer = { kind: 'suspicion', generation: this.#generation } as const;
    return [
      { do: 'notice', message },
      ...(isFirst ? [{ do: 'setTimer', timer, ms: suspicionMs } as const] : []),
    ];
  }

  #timer(timer: Timer): CoordinatorEffect[] {
    if (timer.kind === 'exclusion') {
      this.#exclusions.readmit(timer.workerId);
      return [];
    }
    if (timer.generation !== this.#generation) return [];
    const rank = this.#suspicions.verdict();
    const worker = rank === null ? undefined : this.#members[rank];
    if (worker === undefined) return [];
    const { workerId } = worker.hello!;
    this.#exclusions.exclude(workerId);
    return [
      { do: 'setTimer', timer: { kind: 'exclusion', workerId }, ms: exclusionMs },
      { do: 'close', connection: worker.connection },
      ...this.#lost(worker, 'the others cannot reach it'),
    ];
  }

  #closed({ connection, why, misconduct }: CoordinatorEvent & { is: 'closed' }): CoordinatorEffect[] {
    const worker = this.#workers.get(connection);
    if (worker === undefined) return [];
    const isBad = misconduct === true && worker.hello !== null;
    return isBad ? this.#misconduct(worker, why) : this.#lost(worker, why);
  }

  #lost(worker: Worker, why: string): CoordinatorEffect[] {
    this.#workers.delete(worker.connection);
    if (worker.hello === null) return [];
    const reason = `worker ${worker.hello.workerId} is gone: ${why}`;
    if (!this.#members.includes(worker)) return [{ do: 'notice', message: reason }];
    return this.#reform(reason);
  }

  /** What a worker cannot do ends the run where it is the model's or the last worker's trouble; else it is left out. */
  #workerFailed(worker: Worker, message: Extract<FromWorker, { type: 'failure' }>): CoordinatorEffect[] {
    const code = Object.hasOwn(errorCodes, message.code)
      ? (message.code as ErrorCode)
      : 'LOCKSTEP_WORKER_FAILED';
    const isMember = this.#members.includes(worker);
    if (isMember && code === 'LOCKSTEP_NOT_FINITE') return this.#becomeFailed(code, message.message);
    const name = worker.hello!.workerId;
    worker.leaving = true;
    if (isMember && this.#nobodyStays())
      return this.#becomeFailed(code, `worker ${name}: ${message.message}`);
    return [{ do: 'close', connection: worker.connection }, ...this.#lost(worker, message.message)];
  }

  #refuse(worker: Worker, code: ErrorCode, message: string): CoordinatorEffect[] {
    this.#workers.delete(worker.connection);
    return [
      { do: 'send', connection: worker.connection, message: { type: 'refused', code, message } },
      { do: 'close', connection: worker.connection },
      { do: 'notice', message: `refused a worker at ${worker.address}: ${message}` },
    ];
  }

  #becomeFailed(code: ErrorCode, message: string): CoordinatorEffect[] {
    this.#phase = 'over';
    const failure: ToWorker = {
      type: 'failure',
      code,
      message: message.slice(0, 2000),
      generation: this.#generation,
      step: 0,
      phase: 'coordinator',
    };
    return [
      ...[...this.#workers.values()]
        .filter(({ hello }) => hello !== null)
        .map(({ connection }): CoordinatorEffect => ({ do: 'send', connection, message: failure })),
      { do: 'fail', code, message },
    ];
  }
}
