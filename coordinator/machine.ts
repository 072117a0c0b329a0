// The coordinator as a pure machine: what workers say and what happens to them goes in, what is to be done comes out.
// It forms the membership, lets the run start, follows it and ends it. Bulk data (data set, state) is the shell's.
// A member that goes away ends the run: healing is not in here yet.

import type { MessageFrom } from '../proto/messages.ts';
import { type ErrorCode, errorCodes } from '../src/errors.ts';
import { shardBoundaries } from '../src/numerics/tree.ts';

export type ConnectionId = number;
type FromWorker = MessageFrom<'worker'>;
type ToWorker = MessageFrom<'coordinator'>;
type Hello = Extract<FromWorker, { type: 'hello' }>;

/** What the run is, decided before the first worker comes. */
export interface RunFacts {
  readonly runId: string;
  readonly workersWanted: number;
  readonly shards: number;
  /** Numbers reported a sample: the loss and the metrics. */
  readonly reports: number;
  /** Batches of an evaluation. */
  readonly evaluationBatches: number;
  readonly packageVersion: string;
  readonly protocolVersion: number;
  /** Committed steps at the start, and the last step of now. */
  readonly startStep: number;
  readonly endStep: number;
  /** Of the checkpoint that is gone on from. */
  readonly fingerprint: string | null;
}

export type CoordinatorEvent =
  | { readonly is: 'connected'; readonly connection: ConnectionId; readonly address: string }
  | { readonly is: 'message'; readonly connection: ConnectionId; readonly message: FromWorker }
  | { readonly is: 'closed'; readonly connection: ConnectionId; readonly why: string }
  | { readonly is: 'stop' }
  /** Something outside of the machine went wrong: a checkpoint could not be written, a process did not start. */
  | { readonly is: 'failed'; readonly code: ErrorCode; readonly message: string };

export type CoordinatorEffect =
  | { readonly do: 'send'; readonly connection: ConnectionId; readonly message: ToWorker }
  | { readonly do: 'welcome'; readonly connection: ConnectionId; readonly workerId: string }
  | { readonly do: 'close'; readonly connection: ConnectionId }
  | { readonly do: 'sendData'; readonly connection: ConnectionId }
  | { readonly do: 'sendState'; readonly connection: ConnectionId; readonly generation: number }
  | { readonly do: 'notice'; readonly message: string }
  /** The membership is formed. */
  | {
      readonly do: 'formed';
      readonly generation: number;
      readonly members: readonly { readonly workerId: string; readonly threads: number }[];
      readonly backend: string;
      readonly variant: string;
      readonly fingerprint: string;
    }
  | { readonly do: 'started' }
  | { readonly do: 'stepReport'; readonly report: Extract<FromWorker, { type: 'report' }> }
  | {
      readonly do: 'evaluation';
      readonly step: number;
      readonly parts: readonly Extract<FromWorker, { type: 'evaluation' }>[];
    }
  | { readonly do: 'statePiece'; readonly piece: Extract<FromWorker, { type: 'statePiece' }> }
  | { readonly do: 'end'; readonly step: number; readonly weightsSha256: string }
  | { readonly do: 'fail'; readonly code: ErrorCode; readonly message: string };

interface Worker {
  readonly connection: ConnectionId;
  readonly address: string;
  hello: Hello | null;
  dataRequested: boolean;
  /** Holds the data set. */
  hasData: boolean;
  ready: boolean;
  finished: { readonly step: number; readonly weightsSha256: string } | null;
}

type Phase = 'gathering' | 'forming' | 'running' | 'over';

export class CoordinatorMachine {
  readonly #facts: RunFacts;
  readonly #workers = new Map<ConnectionId, Worker>();
  #phase: Phase = 'gathering';
  #generation = 0;
  #members: Worker[] = [];
  #stopRequested = false;
  /** Parts by step, by rank. */
  readonly #evaluations = new Map<number, Map<number, Extract<FromWorker, { type: 'evaluation' }>>>();

  constructor(facts: RunFacts) {
    this.#facts = facts;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get runId(): string {
    return this.#facts.runId;
  }

  handle(event: CoordinatorEvent): CoordinatorEffect[] {
    switch (event.is) {
      case 'connected':
        this.#workers.set(event.connection, {
          connection: event.connection,
          address: event.address,
          hello: null,
          dataRequested: false,
          hasData: false,
          ready: false,
          finished: null,
        });
        return [];
      case 'message': {
        const worker = this.#workers.get(event.connection);
        return worker === undefined || this.#phase === 'over' ? [] : this.#message(worker, event.message);
      }
      case 'closed':
        return this.#closed(event.connection, event.why);
      case 'stop':
        return this.#stop();
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
    if ('generation' in message && message.generation !== this.#generation && message.type !== 'failure') {
      return [];
    }
    switch (message.type) {
      case 'hello':
        return this.#hello(worker, message);
      case 'dataRequest':
        if (worker.dataRequested)
          return this.#refuse(worker, 'LOCKSTEP_PROTOCOL', 'the data set was asked for twice');
        worker.dataRequested = true;
        return [{ do: 'sendData', connection: worker.connection }];
      case 'ready':
        return message.generation === 0 ? this.#dataReady(worker) : this.#memberReady(worker);
      case 'report':
        return this.#report(worker, message);
      case 'evaluation':
        return this.#evaluation(worker, message);
      case 'statePiece':
        return this.#members[0] === worker ? [{ do: 'statePiece', piece: message }] : [];
      case 'finished':
        return this.#finished(worker, message);
      case 'goodbye':
        return this.#lost(worker, `left: ${message.reason}`);
      case 'failure':
        return this.#workerFailed(worker, message);
      default:
        return message satisfies never;
    }
  }

  #hello(worker: Worker, hello: Hello): CoordinatorEffect[] {
    const facts = this.#facts;
    if (worker.hello !== null) return this.#refuse(worker, 'LOCKSTEP_PROTOCOL', 'hello was said twice');
    if (hello.protocolVersion !== facts.protocolVersion || hello.packageVersion !== facts.packageVersion) {
      return this.#refuse(
        worker,
        'LOCKSTEP_VERSION_MISMATCH',
        `this worker is version ${hello.packageVersion} (protocol ${hello.protocolVersion}), the coordinator ` +
          `${facts.packageVersion} (protocol ${facts.protocolVersion}); install the same version on both`,
      );
    }
    const mismatch = this.#fingerprintMismatch(hello);
    if (mismatch !== null) return this.#refuse(worker, 'LOCKSTEP_FINGERPRINT_MISMATCH', mismatch);
    if (this.#phase !== 'gathering') return this.#refuseSurplus(worker);
    const twin = [...this.#workers.values()].find((other) => other.hello?.workerId === hello.workerId);
    if (twin !== undefined) {
      return this.#refuse(worker, 'LOCKSTEP_USAGE', `a worker named ${hello.workerId} is here already`);
    }
    worker.hello = hello;
    return [{ do: 'welcome', connection: worker.connection, workerId: hello.workerId }];
  }

  #refuseSurplus(worker: Worker): CoordinatorEffect[] {
    return this.#refuse(
      worker,
      'LOCKSTEP_GENERATION_OVER',
      `the run has its ${this.#facts.workersWanted} workers and takes no more; start the coordinator with a larger --workers`,
    );
  }

  /** One line that names what differs, or null. */
  #fingerprintMismatch(hello: Hello): string | null {
    const first = [...this.#workers.values()].find((worker) => worker.hello !== null)?.hello ?? null;
    const expected = this.#facts.fingerprint ?? first?.fingerprint;
    if (expected === undefined || expected === hello.fingerprint) return null;
    const mine = `${hello.backend} ${hello.variant}`;
    if (first === null) {
      return `numerics fingerprint of ${mine} is ${hello.fingerprint.slice(0, 12)}, but the checkpoint was made with ${expected.slice(0, 12)}; use the backend it was made with`;
    }
    const different = Object.keys(hello.kernelHashes).filter(
      (kernel) => hello.kernelHashes[kernel] !== first.kernelHashes[kernel],
    );
    const named =
      different.slice(0, 3).join(', ') + (different.length > 3 ? ` and ${different.length - 3} more` : '');
    return `numerics fingerprint of ${mine} differs from the run's ${first.backend} ${first.variant} in ${named || 'the list of kernels'}; give all workers the same --backend`;
  }

  /** The worker has the data set: generation 0 is the time before any membership. */
  #dataReady(worker: Worker): CoordinatorEffect[] {
    if (this.#phase !== 'gathering') return [];
    worker.hasData = true;
    const present = [...this.#workers.values()].filter((each) => each.hasData);
    if (present.length < this.#facts.workersWanted) {
      return [
        { do: 'notice', message: `${present.length} of ${this.#facts.workersWanted} workers are here` },
      ];
    }
    return this.#becomeForming(present);
  }

  #becomeForming(members: Worker[]): CoordinatorEffect[] {
    const { shards, startStep, endStep } = this.#facts;
    this.#phase = 'forming';
    this.#generation += 1;
    this.#members = members;
    const boundaries = shardBoundaries(members.length, shards);
    const list = members.map(({ hello, address }, rank) => ({
      workerId: hello!.workerId,
      host: hello!.peerHost || address,
      port: hello!.peerPort,
      firstShard: boundaries[rank]!,
      endShard: boundaries[rank + 1]!,
    }));
    const first = members[0]!.hello!;
    const effects: CoordinatorEffect[] = [
      {
        do: 'formed',
        generation: this.#generation,
        members: members.map(({ hello }) => ({ workerId: hello!.workerId, threads: hello!.threads })),
        backend: first.backend,
        variant: first.variant,
        fingerprint: first.fingerprint,
      },
    ];
    members.forEach(({ connection }, rank) => {
      effects.push({
        do: 'send',
        connection,
        message: {
          type: 'membership',
          generation: this.#generation,
          members: list,
          rank,
          startStep,
          endStep,
          hasState: false,
        },
      });
      if (startStep > 0) effects.push({ do: 'sendState', connection, generation: this.#generation });
    });
    const surplus = [...this.#workers.values()].filter(
      (worker) => worker.hello !== null && !members.includes(worker),
    );
    return [...effects, ...surplus.flatMap((worker) => this.#refuseSurplus(worker))];
  }

  #memberReady(worker: Worker): CoordinatorEffect[] {
    if (this.#phase !== 'forming') return [];
    worker.ready = true;
    if (!this.#members.every((member) => member.ready)) return [];
    this.#phase = 'running';
    const toAll = (message: ToWorker): CoordinatorEffect[] =>
      this.#members.map(({ connection }) => ({ do: 'send', connection, message }));
    return [
      { do: 'started' },
      ...toAll({ type: 'start', generation: this.#generation }),
      ...(this.#stopRequested ? toAll({ type: 'stop', generation: this.#generation }) : []),
    ];
  }

  /** Rank 0 speaks for all; the sums of every shard are there. */
  #report(worker: Worker, report: Extract<FromWorker, { type: 'report' }>): CoordinatorEffect[] {
    if (this.#members[0] !== worker) return [];
    if (report.sums.length !== this.#facts.shards * this.#facts.reports * 4) {
      return this.#becomeFailed(
        'LOCKSTEP_PROTOCOL',
        `worker ${worker.hello!.workerId} sent a report of a wrong size`,
      );
    }
    return [{ do: 'stepReport', report }];
  }

  #evaluation(worker: Worker, message: Extract<FromWorker, { type: 'evaluation' }>): CoordinatorEffect[] {
    const rank = this.#members.indexOf(worker);
    if (rank < 0) return [];
    const { shards, reports, evaluationBatches } = this.#facts;
    const boundaries = shardBoundaries(this.#members.length, shards);
    const own = boundaries[rank + 1]! - boundaries[rank]!;
    if (
      message.firstShard !== boundaries[rank] ||
      message.sums.length !== evaluationBatches * own * reports * 4
    ) {
      return this.#becomeFailed(
        'LOCKSTEP_PROTOCOL',
        `worker ${worker.hello!.workerId} sent an evaluation of other shards`,
      );
    }
    const parts = this.#evaluations.get(message.step) ?? new Map<number, typeof message>();
    this.#evaluations.set(message.step, parts.set(rank, message));
    if (parts.size < this.#members.length) return [];
    this.#evaluations.delete(message.step);
    return [
      { do: 'evaluation', step: message.step, parts: this.#members.map((_, each) => parts.get(each)!) },
    ];
  }

  #finished(worker: Worker, message: Extract<FromWorker, { type: 'finished' }>): CoordinatorEffect[] {
    worker.finished = message;
    if (!this.#members.every(({ finished }) => finished !== null)) return [];
    const [first, ...others] = this.#members.map(({ finished, hello }) => ({ ...finished!, hello: hello! }));
    const different = others.find(
      (each) => each.weightsSha256 !== first!.weightsSha256 || each.step !== first!.step,
    );
    if (different !== undefined) {
      return this.#becomeFailed(
        'LOCKSTEP_WEIGHTS_DIFFER',
        `after step ${first!.step} worker ${different.hello.workerId} has other weights than worker ${first!.hello.workerId}: one of the two machines computes wrongly`,
      );
    }
    this.#phase = 'over';
    return [{ do: 'end', step: first!.step, weightsSha256: first!.weightsSha256 }];
  }

  #stop(): CoordinatorEffect[] {
    this.#stopRequested = true;
    if (this.#phase === 'gathering')
      return this.#becomeFailed('LOCKSTEP_STOPPED', 'stopped before the first step');
    if (this.#phase !== 'running') return [];
    return this.#members.map(({ connection }) => ({
      do: 'send',
      connection,
      message: { type: 'stop', generation: this.#generation },
    }));
  }

  #closed(connection: ConnectionId, why: string): CoordinatorEffect[] {
    const worker = this.#workers.get(connection);
    this.#workers.delete(connection);
    if (worker === undefined || this.#phase === 'over') return [];
    return this.#lost(worker, why);
  }

  /** Before the membership is formed a worker may come and go. */
  #lost(worker: Worker, why: string): CoordinatorEffect[] {
    const name = worker.hello?.workerId ?? worker.address;
    if (!this.#members.includes(worker)) {
      this.#workers.delete(worker.connection);
      if (worker.hello === null) return [];
      return [{ do: 'notice', message: `worker ${name} is gone: ${why}` }];
    }
    return this.#becomeFailed('LOCKSTEP_PEER_LOST', `worker ${name} is gone: ${why}`);
  }

  /** What a worker that is not a member cannot do is nobody else's trouble. */
  #workerFailed(worker: Worker, message: Extract<FromWorker, { type: 'failure' }>): CoordinatorEffect[] {
    const name = worker.hello?.workerId ?? worker.address;
    if (!this.#members.includes(worker)) {
      this.#workers.delete(worker.connection);
      return [
        { do: 'close', connection: worker.connection },
        { do: 'notice', message: `worker ${name} cannot take part: ${message.message}` },
      ];
    }
    const code = Object.hasOwn(errorCodes, message.code)
      ? (message.code as ErrorCode)
      : 'LOCKSTEP_WORKER_FAILED';
    if (code === 'LOCKSTEP_NOT_FINITE') return this.#becomeFailed(code, message.message);
    return this.#becomeFailed(code, `worker ${name}: ${message.message}`);
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
    if (this.#phase === 'over') return [];
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
