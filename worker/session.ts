// One worker's run (I/O): the link to the coordinator, data, engine, mesh and steps around the pure machine. It decides
// nothing; effects of the machine are carried out here.

import { ProtocolError } from '../proto/error.ts';
import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import { PieceAssembler, sendPieces } from '../proto/transport/bulk.ts';
import { closeText, type Link } from '../proto/transport/link.ts';
import type { Token } from '../proto/transport/token.ts';
import { weightsSha256 } from '../src/checkpoint/weights-hash.ts';
import { parseConfig } from '../src/config/parse.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { datasetSha256 } from '../src/data/make-dataset.ts';
import { DatasetAssembly } from '../src/data/share.ts';
import { cadenceOf } from '../src/engine/cadence.ts';
import { StepSchedule } from '../src/engine/schedule.ts';
import { namedTensors } from '../src/engine/state.ts';
import { asLockstepError, assert, LockstepError } from '../src/errors.ts';
import { deferred } from '../src/platform/deferred.ts';
import type { ChosenBackend } from './choose-backend.ts';
import { Peers } from './collective/peers.ts';
import {
  compileFor,
  modelOfRun,
  type RunModel,
  setInitialState,
  stateVectors,
  tensorNotFinite,
} from './engine.ts';
import { LanePool } from './lanes/lane-pool.ts';
import { Mesh, type PeerListener, type PeerMessage } from './mesh.ts';
import { diagnose } from './step/diagnose.ts';
import { StepShell } from './step/step-shell.ts';
import { type WorkerEffect, type WorkerEvent, WorkerMachine } from './worker-machine.ts';

export interface WorkerSessionOptions {
  readonly link: Link<'worker'>;
  readonly hello: MessageOf<'hello'>;
  readonly backend: ChosenBackend;
  /** Threads that compute. */
  readonly threads: number;
  /** Null in a run inside of one process, which has no peers. */
  readonly network: { readonly listener: PeerListener; readonly token: Token } | null;
  /** A data set that is here already. */
  readonly dataset: Dataset | null;
}

export interface WorkerOutcome {
  /** Steps this worker took part in. */
  readonly steps: number;
}

type Membership = MessageOf<'membership'>;

/** What exists between welcome and the end. */
interface Prepared {
  readonly runId: string;
  readonly run: RunModel;
  dataset: Dataset | null;
  assembly: DatasetAssembly | null;
}

/** What exists of one membership. */
interface Formed {
  readonly lanes: LanePool;
  readonly steps: StepShell;
}

export class WorkerSession {
  readonly #options: WorkerSessionOptions;
  readonly #machine = new WorkerMachine();
  readonly #outcome = deferred<WorkerOutcome>();
  readonly #ending = new AbortController();
  /** How to close what was opened, in the order of opening. */
  readonly #resources: (() => void | Promise<void>)[] = [];
  #prepared: Prepared | null = null;
  #formed: Formed | null = null;
  #state: { readonly assembler: PieceAssembler; readonly apply: () => void } | null = null;
  /** Pieces of state that came before the engine stood. */
  #earlyPieces: MessageOf<'statePiece'>[] = [];
  #snapshots: Promise<void> = Promise.resolve();
  #snapshotInFlight = false;
  #stepsDone = 0;

  constructor(options: WorkerSessionOptions) {
    this.#options = options;
  }

  /** Runs to the end. Throws LockstepError. */
  async run(): Promise<WorkerOutcome> {
    const { link, hello } = this.#options;
    link.start({
      onMessage: (message) => this.#handle({ is: 'message', message }),
      onClose: (reason) => this.#handle({ is: 'closed', why: closeText(reason) }),
    });
    this.#handle({ is: 'opened', hello });
    try {
      return await this.#outcome.promise;
    } finally {
      this.#ending.abort();
      this.#formed?.steps.abandon();
      link.close();
      for (const close of this.#resources.reverse()) await close();
    }
  }

  /** This process was asked to end. */
  stop(): void {
    this.#handle({ is: 'stop' });
  }

  #handle(event: WorkerEvent): void {
    for (const effect of this.#machine.handle(event)) {
      try {
        this.#carryOut(effect);
      } catch (error) {
        this.#failed(error, this.#machine.phase);
      }
    }
  }

  #failed(thrown: unknown, phase: string, step = this.#formed?.steps.step ?? 0): void {
    const error = asLockstepError(thrown);
    this.#handle({ is: 'failed', code: error.code, message: error.message, phase, step });
  }

  /** Told after the snapshots on their way have left: they are from before the failure, and good. */
  #stepsFailed(error: unknown, phase: string, step: number): void {
    const tell = (): void => this.#failed(error, phase, step);
    this.#snapshots.then(tell, tell);
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => this.#failed(error, this.#machine.phase));
  }

  #send(message: MessageFrom<'worker'>): void {
    this.#options.link.send(message);
  }

  #carryOut(effect: WorkerEffect): void {
    switch (effect.do) {
      case 'send':
        this.#send(effect.message);
        return;
      case 'prepare':
        this.#prepare(effect.welcome);
        return;
      case 'takeData':
        this.#takeData(effect.piece);
        return;
      case 'form':
        this.#background(this.#form(effect.membership));
        return;
      case 'takeState':
        this.#takeState(effect.piece);
        return;
      case 'begin':
        this.#formed!.steps.begin();
        return;
      case 'stopSteps':
        this.#formed!.steps.stop();
        return;
      case 'end':
        this.#outcome.resolve({ steps: this.#stepsDone });
        return;
      case 'fail':
        this.#outcome.reject(new LockstepError(effect.code, effect.message));
        return;
      default:
        effect satisfies never;
    }
  }

  #prepare({ config, dataset, runId }: MessageOf<'welcome'>): void {
    const run = modelOfRun(parseConfig(JSON.parse(config), 'the config of the coordinator'), dataset);
    const given = this.#options.dataset;
    const hasData = given !== null && given.sha256 === dataset.sha256;
    this.#prepared = {
      runId,
      run,
      dataset: hasData ? given : null,
      assembly: hasData ? null : new DatasetAssembly(dataset),
    };
    this.#handle({ is: 'prepared', hasData });
  }

  #takeData(piece: MessageOf<'dataPiece'>): void {
    const prepared = this.#prepared!;
    if (prepared.assembly?.add(piece) !== true) return;
    prepared.dataset = prepared.assembly.finish(datasetSha256);
    prepared.assembly = null;
    this.#handle({ is: 'dataComplete' });
  }

  async #form(membership: Membership): Promise<void> {
    const { run, runId, dataset } = this.#prepared!;
    const { backend, threads, network } = this.#options;
    const { members, rank } = membership;
    const { firstShard, endShard } = members[rank]!;
    const compiled = compileFor(run, {
      shards: run.config.shards,
      firstShard,
      endShard,
      boundaries: [...members.map((member) => member.firstShard), run.config.shards],
      lanes: threads,
    });
    const lanes = await LanePool.create({ compiled, backend: backend.backend, splits: dataset! });
    if (!this.#keep(() => lanes.close())) return;
    let peers: Peers | null = null;
    if (members.length > 1 && network !== null) {
      const mesh = await Mesh.form({
        ...network,
        membership,
        runId,
        signal: this.#ending.signal,
        handlers: {
          onMessage: (from, message) => this.#peerSaid(peers, from, message),
          onLost: (from, why) => this.#peerLost(membership, from, why),
          openTensor: (from, head, dataBytes) => peers?.openTensor(from, head, dataBytes) ?? null,
          release: (chunk) => peers?.release(chunk),
        },
      });
      if (!this.#keep(() => mesh.close())) return;
      peers = new Peers({ mesh, membership, memory: lanes.memory, backend: backend.backend });
    }
    this.#formed = { lanes, steps: this.#stepShell(membership, lanes, peers) };
    this.#startState(lanes, membership.startStep);
  }

  /** Closes `resource` when the session ends; at once, and false, where it has. */
  #keep(close: () => void | Promise<void>): boolean {
    if (this.#ending.signal.aborted) {
      this.#background(Promise.resolve(close()));
      return false;
    }
    this.#resources.push(close);
    return true;
  }

  /** A ProtocolError ends that connection; anything else is a bug of ours and ends the run. */
  #peerSaid(peers: Peers | null, from: number, message: PeerMessage): void {
    try {
      peers?.receive(from, message);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.#failed(error, this.#machine.phase);
    }
  }

  /** The state of the start: drawn from the seed, or in pieces from the coordinator. */
  #startState(lanes: LanePool, startStep: number): void {
    const { run } = this.#prepared!;
    if (startStep === 0) {
      setInitialState(lanes.memory, run);
      this.#handle({ is: 'formed', hasState: true });
      return;
    }
    const vectors = stateVectors(lanes.memory, run.layout);
    const parts = vectors.map(({ name, floats }) => ({ name, bytes: new Uint8Array(floats.byteLength) }));
    this.#state = {
      assembler: new PieceAssembler(parts),
      apply: () => {
        parts.forEach(({ bytes }, i) => {
          vectors[i]!.floats.set(new Float32Array(bytes.buffer));
        });
      },
    };
    this.#handle({ is: 'formed', hasState: false });
    const early = this.#earlyPieces;
    this.#earlyPieces = [];
    for (const piece of early) this.#takeState(piece);
  }

  #takeState(piece: MessageOf<'statePiece'>): void {
    if (this.#state === null) {
      this.#earlyPieces.push(piece);
      return;
    }
    this.#state.assembler.take(piece.section, piece.offset, piece.bytes);
    if (!this.#state.assembler.isComplete) return;
    this.#state.apply();
    this.#state = null;
    this.#handle({ is: 'stateComplete' });
  }

  #stepShell(membership: Membership, lanes: LanePool, peers: Peers | null): StepShell {
    const { run, dataset } = this.#prepared!;
    const { config } = run;
    const { compiled } = lanes.memory;
    assert(dataset !== null, 'the data set is here before the engine');
    const samples = { train: dataset.train.samples, test: dataset.test.samples };
    const cadence = cadenceOf(config, samples);
    const { generation, startStep, endStep, rank } = membership;
    const { batch, seed, optimizer } = config;
    const schedule = new StepSchedule({ samples: samples.train, batch, seed, optimizer });
    return new StepShell({
      plan: {
        alone: peers === null,
        segments: compiled.step.length,
        updates: compiled.update.length,
        buckets: compiled.buckets.length,
        stepsPerTaskMax: compiled.tables.count,
        endStep,
        evaluateAfter: (step) => cadence.evaluateAfter(step),
        checkpointAfter: (step) => cadence.checkpointAfter(step),
      },
      startStep,
      generation,
      lanes,
      peers,
      schedule,
      testSamples: samples.test,
      batch,
      isReporter: rank === 0,
      send: (message) => this.#send(message),
      snapshot: (step, last) => {
        if (rank === 0) this.#snapshot(generation, step, lanes, last);
      },
      diagnose: (step, sums) =>
        diagnose({
          run,
          memory: lanes.memory,
          dataset,
          schedule,
          backend: this.#options.backend.backend,
          step,
          sums,
        }),
      onFinished: (step) => this.#background(this.#finished(step, startStep, lanes)),
      onFailed: (error, phase, step) => this.#stepsFailed(error, phase, step),
    });
  }

  /**
   * Copies the state now and sends it piece by piece. A snapshot that comes while the one before is still on its way is
   * left out (the end of a run waits for its turn): there are never more than two copies of the state.
   */
  #snapshot(generation: number, step: number, lanes: LanePool, isLast: boolean): void {
    const { layout } = this.#prepared!.run;
    if (this.#snapshotInFlight && !isLast) return;
    const copies = stateVectors(lanes.memory, layout).map(({ name, floats }) => ({
      name,
      floats: floats.slice(),
    }));
    const bad = tensorNotFinite(copies, layout);
    if (bad !== null) {
      throw new LockstepError(
        'LOCKSTEP_NOT_FINITE',
        `after step ${step} ${bad} is not finite, so no checkpoint of it is kept; the one before stays. ` +
          'Try a smaller learning rate or clipNorm',
      );
    }
    this.#snapshotInFlight = true;
    this.#snapshots = this.#snapshots
      .then(() => this.#sendSnapshot(generation, step, copies))
      .finally(() => {
        this.#snapshotInFlight = false;
      });
    this.#background(this.#snapshots);
  }

  async #sendSnapshot(
    generation: number,
    step: number,
    copies: readonly { readonly name: string; readonly floats: Float32Array }[],
  ): Promise<void> {
    const { link } = this.#options;
    for (const { name: section, floats } of copies) {
      const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
      const total = bytes.length;
      await sendPieces(
        bytes,
        (offset, piece) =>
          link.send({ type: 'statePiece', generation, step, section, offset, total, bytes: piece }),
        () => link.drained(),
      );
    }
  }

  async #finished(step: number, startStep: number, lanes: LanePool): Promise<void> {
    await this.#snapshots;
    this.#stepsDone = step - startStep;
    const { layout } = this.#prepared!.run;
    const { parameters, statistics } = lanes.memory;
    const sha = weightsSha256(
      namedTensors(parameters, layout.parameters),
      namedTensors(statistics, layout.statistics),
    );
    this.#handle({ is: 'finished', step, weightsSha256: sha });
  }

  /** After the steps are done peers may go in any order. */
  #peerLost({ members }: Membership, rank: number, why: string): void {
    if (this.#machine.phase === 'finished' || this.#machine.phase === 'over') return;
    const { workerId, host, port } = members[rank]!;
    const step = this.#formed?.steps.step ?? 0;
    const text = `lost worker ${workerId} (rank ${rank}, ${host}:${port}) in step ${step}: ${why}`;
    const error = new LockstepError('LOCKSTEP_PEER_LOST', text);
    this.#formed?.steps.abandon();
    this.#failed(error, this.#machine.phase, step);
  }
}
