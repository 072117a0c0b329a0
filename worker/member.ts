// One membership as a worker lives it (I/O): engine, lanes, mesh and steps, from the moment it is told of it until the next.
// The order is fixed: the one before is quiet, then this one is built while standings are compared, then state, then steps.

import { setImmediate as immediate } from 'node:timers/promises';
import { limits } from '../proto/limits.ts';
import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import { silenceOnceCompiledMs } from '../proto/silence.ts';
import { sendPieces } from '../proto/transport/bulk.ts';
import { isDigestDue, stateDigest } from '../src/checkpoint/state-digest.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { cadenceOf } from '../src/engine/cadence.ts';
import { StepSchedule } from '../src/engine/schedule.ts';
import { stateBytesOf } from '../src/engine/state.ts';
import { assert, type LockstepError } from '../src/errors.ts';
import { deferred } from '../src/platform/deferred.ts';
import type { ChosenBackend } from './choose-backend.ts';
import { Peers } from './collective/peers.ts';
import { compileFor, type RunModel, setInitialState, stateVectors } from './engine.ts';
import { Healing, type Sender } from './healing.ts';
import { LanePool } from './lanes/lane-pool.ts';
import type { LaneThreads } from './lanes/lane-threads.ts';
import { Mesh, type PeerMessage } from './mesh.ts';
import type { PeerNetwork } from './peer-listener.ts';
import { checkFinite } from './snapshots.ts';
import { type Accusation, accusationOf } from './step/accusation.ts';
import { diagnose } from './step/diagnose.ts';
import type { ShardLease } from './step/lease.ts';
import { StepShell } from './step/step-shell.ts';

/** A committed state outside of any arena. */
export interface HeldState {
  readonly step: number;
  readonly vectors: readonly Float32Array[];
}

export interface MemberOptions {
  readonly membership: MessageOf<'membership'>;
  readonly runId: string;
  readonly run: RunModel;
  readonly dataset: Dataset;
  readonly backend: ChosenBackend;
  readonly threads: LaneThreads;
  readonly network: PeerNetwork | null;
  /** What this worker has from before. */
  readonly held: HeldState | null;
  readonly send: (message: MessageFrom<'worker'>) => void;
  readonly snapshot: (step: number, last: boolean, lanes: LanePool) => void;
  readonly lease: ShardLease;
  readonly onPeerLost: (rank: number, why: string, broken: boolean) => void;
  readonly onAccused: (step: number, accusation: Accusation) => void;
  readonly onFinished: (step: number, lanes: LanePool) => void;
  readonly onFailed: (error: LockstepError, phase: string, step: number) => void;
}

export class Member {
  readonly #options: MemberOptions;
  readonly #ending = new AbortController();
  readonly #align = deferred<MessageOf<'align'>>();
  readonly #healing: Healing;
  readonly #healed = deferred<void>();
  #lanes: LanePool | null = null;
  #mesh: Mesh | null = null;
  #peers: Peers | null = null;
  #steps: StepShell | null = null;
  #startStep = 0;
  /** The arena holds a committed state. */
  #hasState = false;
  #running = false;

  constructor(options: MemberOptions) {
    this.#options = options;
    for (const { promise } of [this.#align, this.#healed]) promise.catch(() => undefined);
    this.#healing = new Healing(options.run.layout.sections, (sender, error) => {
      if (sender === null) throw error;
      this.#mesh?.connection(sender).refuse(error);
    });
  }

  get step(): number {
    return this.#steps?.step ?? 0;
  }

  /** Committed in this membership, up to now. */
  get stepsTaken(): number {
    return this.#steps === null ? 0 : this.#steps.committed - this.#startStep;
  }

  /** Resolves when everything stands and the state is here; rejects when it was given up. */
  async form(): Promise<void> {
    const { membership, network } = this.#options;
    const [lanes] = await Promise.all([
      this.#engine(),
      this.#hasPeers && network !== null ? this.#connect(network) : null,
    ]);
    this.#ending.signal.throwIfAborted();
    const align = await this.#align.promise;
    if (this.#mesh !== null) {
      const { mesh, startStep, memory } = { mesh: this.#mesh, startStep: align.step, memory: lanes.memory };
      this.#peers = new Peers({
        mesh,
        membership,
        startStep,
        memory,
        backend: this.#options.backend.backend,
        verifyStep: this.#verifyStep(align),
      });
    }
    await this.#takeOver(lanes, align);
    this.#ending.signal.throwIfAborted();
    this.#hasState = true;
    this.#startStep = align.step;
    this.#steps = this.#stepShell(lanes, align);
  }

  align(message: MessageOf<'align'>): void {
    this.#align.resolve(message);
  }

  begin(): void {
    this.#running = true;
    this.#steps!.begin();
  }

  /** After the step in flight. */
  stop(): void {
    this.#steps?.stop();
  }

  /** Of the state as it is. */
  digest(): number {
    const { run, backend } = this.#options;
    const vectors = stateVectors(this.#lanes!.memory, run.layout);
    return stateDigest(vectors, backend.backend.bytes?.checksum);
  }

  /** A piece of the state of the start, from the coordinator. */
  takeState(piece: MessageOf<'statePiece'>): void {
    this.#healing.take(null, piece);
  }

  /** Gives everything up; resolves with the newest committed state, when the lanes are idle. */
  async end(): Promise<HeldState | null> {
    this.#ending.abort();
    this.#align.reject(this.#ending.signal.reason);
    this.#healed.reject(this.#ending.signal.reason);
    const step = await this.#steps?.quiesce();
    this.#mesh?.close();
    const lanes = this.#lanes;
    let held = this.#options.held;
    if (lanes !== null && this.#hasState && step !== undefined) {
      const vectors = stateVectors(lanes.memory, this.#options.run.layout);
      held = { step, vectors: vectors.map(({ floats }) => floats.slice()) };
    }
    lanes?.close();
    return held;
  }

  /** Not where every member computes all shards itself. */
  get #hasPeers(): boolean {
    const { members, alone } = this.#options.membership;
    return members.length > 1 && !alone;
  }

  async #engine(): Promise<LanePool> {
    const { run, membership, threads, dataset } = this.#options;
    const { members, rank } = membership;
    const { shards } = run.config;
    const { firstShard, endShard } = this.#hasPeers ? members[rank]! : { firstShard: 0, endShard: shards };
    const boundaries = this.#hasPeers ? [...members.map((member) => member.firstShard), shards] : [0, shards];
    // In the turn in which the standing was said: coordinator and peers have no patience with what comes after it.
    const compiled = compileFor(run, { shards, firstShard, endShard, boundaries, lanes: threads.lanes });
    this.#lanes = await LanePool.create({ compiled, threads, splits: dataset });
    return this.#lanes;
  }

  async #connect(network: NonNullable<MemberOptions['network']>): Promise<void> {
    const { membership, run, runId, onPeerLost } = this.#options;
    const formingMs = silenceOnceCompiledMs(membership.members.length, stateBytesOf(run.layout));
    this.#mesh = await Mesh.form({
      ...network,
      membership,
      runId,
      signal: this.#ending.signal,
      silenceMs: () => (this.#running ? limits.silenceMs : formingMs),
      handlers: {
        onMessage: (from, message) => this.#peerSaid(from, message),
        onLost: (from, why, broken) => {
          if (!this.#ending.signal.aborted) onPeerLost(from, why, broken);
        },
        onMisconduct: (from, what) => {
          if (this.#ending.signal.aborted) return;
          this.#options.onAccused(this.step, { ranks: [from], what: `a wrong message: ${what}` });
        },
        openTensor: (from, head, dataBytes) => this.#peers?.openTensor(from, head, dataBytes) ?? null,
        release: (chunk) => this.#peers?.release(chunk),
      },
    });
  }

  /** A ProtocolError ends that connection; anything else is a bug of ours and ends the run. */
  #peerSaid(from: number, message: PeerMessage): void {
    if (message.generation !== this.#options.membership.generation) return;
    if (message.type === 'statePiece') this.#healing.take(from, message);
    else this.#peers?.receive(from, message);
  }

  /** Brings the arena to the state that all go on from, and heals those for whom this worker is the source. */
  async #takeOver(lanes: LanePool, align: MessageOf<'align'>): Promise<void> {
    const { run, membership, held } = this.#options;
    const vectors = stateVectors(lanes.memory, run.layout);
    if (!align.behind.includes(membership.rank)) {
      this.#healing.expectNothing();
      assert(held !== null && held.step === align.step, 'who is not behind has the state');
      for (const [i, { floats }] of vectors.entries()) floats.set(held.vectors[i]!);
    } else if (align.origin === 'seed') {
      this.#healing.expectNothing();
      setInitialState(lanes.memory, run);
    } else {
      const sender = align.origin === 'member' ? align.source : null;
      this.#healing.expect({ sender, step: align.step }, vectors, () => this.#healed.resolve());
      await this.#healedFrom(sender);
    }
    if (align.origin !== 'member' || align.source !== membership.rank) return;
    await Promise.all(align.behind.map((rank) => this.#healOther(rank, vectors, align.step)));
  }

  /** A peer that answers pings, but from which no state comes, would keep all from being ready. */
  async #healedFrom(sender: Sender): Promise<void> {
    let taken = this.#healing.taken;
    const look = (): void => {
      const why = `no state came from it for ${limits.silenceWhileFormingMs / 1_000} s`;
      if (sender !== null && this.#healing.taken === taken) this.#options.onPeerLost(sender, why, false);
      taken = this.#healing.taken;
    };
    const timer = setInterval(look, limits.silenceWhileFormingMs).unref();
    try {
      await this.#healed.promise;
    } finally {
      clearInterval(timer);
    }
  }

  /** The state stays as it is until all are ready: nothing has to be copied for it. */
  async #healOther(
    rank: number,
    vectors: readonly { readonly name: string; readonly floats: Float32Array }[],
    step: number,
  ): Promise<void> {
    const connection = this.#mesh!.connection(rank);
    const { generation } = this.#options.membership;
    for (const { name: section, floats } of vectors) {
      const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
      const total = bytes.length;
      await sendPieces(
        bytes,
        (offset, piece) =>
          connection.send({ type: 'statePiece', generation, step, section, offset, total, bytes: piece }),
        () => connection.drained(),
      );
    }
  }

  /** The one that was not finite before. */
  #verifyStep(align: MessageOf<'align'>): number | null {
    return align.verify ? align.step + 1 : null;
  }

  #stepShell(lanes: LanePool, align: MessageOf<'align'>): StepShell {
    const { run, dataset, membership, backend, send, snapshot, onFinished, onFailed } = this.#options;
    const { batch, seed, optimizer } = run.config;
    const { compiled } = lanes.memory;
    const samples = { train: dataset.train.samples, test: dataset.test.samples };
    const cadence = cadenceOf(run.config, samples);
    const { generation, endStep, rank } = membership;
    const schedule = new StepSchedule({
      samples: samples.train,
      batch,
      seed,
      optimizer,
      steps: cadence.steps,
    });
    return new StepShell({
      plan: {
        alone: this.#peers === null,
        segments: compiled.step.length,
        updates: compiled.update.length,
        buckets: compiled.buckets.length,
        stepsPerTaskMax: compiled.tables.count,
        endStep,
        // Where each has all shards one says for all what they come to.
        evaluateAfter: (step) => (this.#hasPeers || rank === 0) && cadence.evaluateAfter(step),
        checkpointAfter: (step) => cadence.checkpointAfter(step),
        digestAfter: (step) => membership.members.length > 1 && isDigestDue(step),
      },
      startStep: align.step,
      owed: { evaluate: align.evaluate && (this.#hasPeers || rank === 0), snapshot: align.snapshot },
      generation,
      lanes,
      peers: this.#peers,
      schedule,
      testSamples: samples.test,
      batch,
      isReporter: rank === 0,
      send,
      digest: () => this.digest(),
      checkState: (step) => checkFinite(step, lanes.memory, run.layout),
      snapshot: (step, last) => snapshot(step, last, lanes),
      diagnose: async (step, sums) => {
        const { memory } = lanes;
        const what = { run, memory, dataset, schedule, backend: backend.backend, step, sums };
        const error = await diagnose({ ...what, alone: this.#peers === null, pause: () => immediate() });
        return error ?? accusationOf(sums, membership.members, rank, step === this.#verifyStep(align));
      },
      onAccused: this.#options.onAccused,
      onPeerOverdue: (late, why) => this.#options.onPeerLost(late, why, false),
      lease: this.#options.lease,
      shardsMax: Math.ceil(run.config.shards / (this.#hasPeers ? membership.members.length : 1)),
      onFinished: (step) => onFinished(step, lanes),
      onFailed,
    });
  }
}
