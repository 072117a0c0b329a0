// One worker's run (I/O): the link to the coordinator, data, engine, mesh and steps around the pure machine. It decides
// nothing; effects of the machine are carried out here.

import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import { PieceAssembler, sendPieces } from '../proto/transport/bulk.ts';
import type { CloseReason } from '../proto/transport/connection.ts';
import type { Link } from '../proto/transport/link.ts';
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
import { compileFor, modelOfRun, type RunModel, setInitialState, stateVectors } from './engine.ts';
import { LanePool } from './lanes/lane-pool.ts';
import { Mesh, type PeerListener } from './mesh.ts';
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
  readonly membership: Membership;
  readonly lanes: LanePool;
  readonly mesh: Mesh | null;
  readonly peers: Peers | null;
  readonly steps: StepShell;
}

export class WorkerSession {
  readonly #options: WorkerSessionOptions;
  readonly #machine = new WorkerMachine();
  readonly #outcome = deferred<WorkerOutcome>();
  #prepared: Prepared | null = null;
  #formed: Formed | null = null;
  #state: { readonly assembler: PieceAssembler; readonly apply: () => void } | null = null;
  /** Pieces of state that came before the engine stood. */
  #earlyPieces: MessageOf<'statePiece'>[] = [];
  #snapshots: Promise<void> = Promise.resolve();
  #stepsDone = 0;

  constructor(options: WorkerSessionOptions) {
    this.#options = options;
  }

  /** Runs to the end. Throws LockstepError. */
  async run(): Promise<WorkerOutcome> {
    const { link, hello } = this.#options;
    link.start({
      onMessage: (message) => this.#handle({ is: 'message', message }),
      onClose: (reason) => this.#handle({ is: 'closed', why: closedText(reason) }),
    });
    this.#handle({ is: 'opened', hello });
    try {
      return await this.#outcome.promise;
    } finally {
      this.#formed?.steps.abandon();
      this.#formed?.mesh?.close();
      link.close();
      await this.#formed?.lanes.close();
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
    let peers: Peers | null = null;
    const mesh =
      members.length === 1 || network === null
        ? null
        : await Mesh.form({
            ...network,
            membership,
            runId,
            handlers: {
              onMessage: (from, message) => peers?.receive(from, message),
              openTensor: (from, head, dataBytes) => peers?.openTensor(from, head, dataBytes) ?? null,
              onLost: (from, why) => this.#peerLost(membership, from, why),
            },
          });
    if (mesh !== null)
      peers = new Peers({ mesh, membership, memory: lanes.memory, backend: backend.backend });
    this.#formed = { membership, lanes, mesh, peers, steps: this.#stepShell(membership, lanes, peers) };
    this.#startState(lanes, membership.startStep);
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
      snapshot: (step) => {
        if (rank === 0) this.#snapshot(generation, step, lanes);
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
      onFailed: (error, phase, step) => this.#failed(error, phase, step),
    });
  }

  /** Copies the state now and sends it piece by piece, one snapshot after another. */
  #snapshot(generation: number, step: number, lanes: LanePool): void {
    const { layout } = this.#prepared!.run;
    const { link } = this.#options;
    const copies = stateVectors(lanes.memory, layout).map(({ name, floats }) => ({
      section: name,
      bytes: new Uint8Array(floats.slice().buffer as ArrayBuffer),
    }));
    this.#snapshots = this.#snapshots.then(async () => {
      for (const { section, bytes } of copies) {
        const total = bytes.length;
        await sendPieces(
          bytes,
          (offset, piece) =>
            link.send({ type: 'statePiece', generation, step, section, offset, total, bytes: piece }),
          () => link.drained(),
        );
      }
    });
    this.#background(this.#snapshots);
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

function closedText(reason: CloseReason): string {
  switch (reason.kind) {
    case 'local':
      return 'closed here';
    case 'remote':
      return reason.text || 'it closed the connection';
    case 'lost':
      return reason.message;
    case 'protocol':
      return `it sent what it must not: ${reason.error.message}`;
    default:
      return reason satisfies never;
  }
}
