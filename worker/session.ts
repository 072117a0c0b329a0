// One worker's run (I/O): the link to the coordinator, data, and one membership after another (member.ts) around the pure
// machine. It decides nothing; effects of the machine are carried out here.

import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../proto/limits.ts';
import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import { closeText, isBroken, type Link } from '../proto/transport/link.ts';
import { weightsSha256 } from '../src/checkpoint/weights-hash.ts';
import { parseConfig } from '../src/config/parse.ts';
import { type Dataset, datasetBytes } from '../src/data/dataset.ts';
import { datasetSha256 } from '../src/data/make-dataset.ts';
import { DatasetAssembly } from '../src/data/share.ts';
import { requireMemory } from '../src/engine/memory-budget.ts';
import { namedTensors } from '../src/engine/state.ts';
import { asLockstepError, LockstepError } from '../src/errors.ts';
import { deferred } from '../src/platform/deferred.ts';
import { machineMemory } from '../src/platform/machine-memory.ts';
import type { ChosenBackend } from './choose-backend.ts';
import { modelOfRun, type RunModel } from './engine.ts';
import type { LanePool } from './lanes/lane-pool.ts';
import { LaneThreads } from './lanes/lane-threads.ts';
import { type HeldState, Member } from './member.ts';
import { MeshError } from './mesh.ts';
import type { PeerNetwork } from './peer-listener.ts';
import { Snapshots } from './snapshots.ts';
import { ShardLease } from './step/lease.ts';
import { warmUp } from './warm-up.ts';
import { type WorkerEffect, type WorkerEvent, WorkerMachine } from './worker-machine.ts';

export interface BeforeRedial {
  /** The coordinator has welcomed this worker at some time. */
  readonly welcomed: boolean;
  /** Why the coordinator did not want this worker for now; null where the connection ended otherwise. */
  readonly refusal: string | null;
}

export interface WorkerSessionOptions {
  readonly link: Link<'worker'>;
  /** Dials the coordinator again, for as long as it is worth it; null where there is no way back. Rejects when given up. */
  readonly redial: ((signal: AbortSignal, after: BeforeRedial) => Promise<Link<'worker'>>) | null;
  /** From 0 to below 1: workers that lost their coordinator together do not come back in step. */
  readonly random?: () => number;
  readonly hello: Omit<MessageOf<'hello'>, 'runId' | 'generation' | 'nameSecret'>;
  readonly backend: ChosenBackend;
  /** Threads that compute. */
  readonly threads: number;
  /** Null in a run inside of one process, which has no peers. */
  readonly network: PeerNetwork | null;
  /** A data set that is here already. */
  readonly dataset: Dataset | null;
}

export interface WorkerOutcome {
  /** Steps that were committed while this worker took part. */
  readonly steps: number;
  /** The step after which the coordinator stopped the run; null where it came to its end, or this worker left. */
  readonly stoppedAt: number | null;
}

/** What exists between welcome and the end. */
interface Prepared {
  readonly runId: string;
  /** As the coordinator wrote it. */
  readonly config: string;
  readonly run: RunModel;
  dataset: Dataset | null;
  assembly: DatasetAssembly | null;
}

/** A worker that is asked to leave while its coordinator is away waits for it as long as this, in milliseconds. */
const leaveAwayMs = 10_000;

/** Throws LOCKSTEP_CONFIG_INVALID or LOCKSTEP_MODEL_INVALID. */
function modelFor({ config, dataset }: MessageOf<'welcome'>): Pick<Prepared, 'config' | 'run'> {
  const run = modelOfRun(parseConfig(JSON.parse(config), 'the config of the coordinator'), dataset);
  return { config, run };
}

/** Throws LOCKSTEP_OUT_OF_MEMORY before anything of the data set is taken. */
function checkDataMemory(dataset: MessageOf<'welcome'>['dataset']): void {
  const bytes = datasetBytes(dataset, dataset.trainSamples + dataset.testSamples);
  requireMemory('this worker', { 'data set': bytes }, machineMemory());
}

export class WorkerSession {
  readonly #options: WorkerSessionOptions;
  readonly #machine = new WorkerMachine();
  readonly #outcome = deferred<WorkerOutcome>();
  readonly #ending = new AbortController();
  /** For the life of the worker. */
  readonly #threads: LaneThreads;
  #link: Link<'worker'>;
  /** This process was asked to end. */
  #leaves = false;
  #awayTimer: NodeJS.Timeout | undefined;
  #prepared: Prepared | null = null;
  #warm: Promise<void> | null = null;
  #member: Member | null = null;
  /** One membership is given up before the next is built. */
  #forming: Promise<void> = Promise.resolve();
  #held: HeldState | null = null;
  readonly #lease = new ShardLease();
  readonly #snapshots = new Snapshots();
  /** Committed in the memberships before this one. */
  #stepsBefore = 0;

  constructor(options: WorkerSessionOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#threads = new LaneThreads(options.backend.backend, options.threads);
  }

  /** Runs to the end. Throws LockstepError. */
  async run(): Promise<WorkerOutcome> {
    this.#open(this.#link);
    try {
      return await this.#outcome.promise;
    } finally {
      this.#ending.abort();
      clearTimeout(this.#awayTimer);
      this.#link.close();
      await this.#member?.end().catch(() => undefined);
      await this.#forming.catch(() => undefined);
      await this.#threads.close();
    }
  }

  /** This process was asked to end. A coordinator that is away is waited for: it may have to take the newest state over. */
  stop(): void {
    this.#leaves = true;
    this.#handle({ is: 'stop' });
    if (!this.#machine.isLinked) this.#waitWhileAway();
  }

  #waitWhileAway(): void {
    if (this.#ending.signal.aborted) return;
    const message = 'left without handing over: the coordinator is away';
    this.#awayTimer ??= setTimeout(() => this.#handle({ is: 'gaveUp', message }), leaveAwayMs).unref();
  }

  #open(link: Link<'worker'>): void {
    this.#link = link;
    clearTimeout(this.#awayTimer);
    this.#awayTimer = undefined;
    link.watch(() => limits.silenceWhileFormingMs);
    link.start({
      onMessage: (message) => {
        if (link === this.#link) this.#handle({ is: 'message', message });
      },
      onClose: (reason) => {
        if (link !== this.#link) return;
        this.#handle({ is: 'closed', why: closeText(reason), broken: isBroken(reason) });
        if (this.#leaves) this.#waitWhileAway();
      },
    });
    this.#handle({ is: 'opened', hello: this.#options.hello });
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

  #failed(thrown: unknown, phase: string, step = this.#member?.step ?? 0): void {
    const error = asLockstepError(thrown);
    this.#handle({ is: 'failed', code: error.code, message: error.message, phase, step });
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#failed(error, this.#machine.phase));
  }

  #send(message: MessageFrom<'worker'>): void {
    this.#link.send(message);
  }

  #carryOut(effect: WorkerEffect): void {
    switch (effect.do) {
      case 'send':
        this.#send(effect.message);
        return;
      case 'prepare':
        this.#prepare(effect.welcome);
        return;
      case 'reconfigure':
        this.#prepared = { ...this.#prepared!, ...modelFor(effect.welcome) };
        return;
      case 'takeData':
        this.#takeData(effect.piece);
        return;
      case 'form':
        this.#forming = this.#forming.then(() => this.#form(effect.membership));
        this.#background(this.#forming);
        return;
      case 'align':
        this.#whenFormed(effect.align.generation, (member) => member.align(effect.align));
        return;
      case 'takeState':
        this.#whenFormed(effect.piece.generation, (member) => member.takeState(effect.piece));
        return;
      case 'begin':
        this.#member!.begin();
        return;
      case 'stopSteps':
        this.#member!.stop();
        return;
      case 'redial':
        this.#background(this.#redial(effect.afterMs * this.#jitter(), effect.refusal ?? null));
        return;
      case 'end':
        this.#outcome.resolve({
          steps: this.#stepsBefore + (this.#member?.stepsTaken ?? 0),
          stoppedAt: effect.stoppedAt,
        });
        return;
      case 'fail':
        this.#outcome.reject(new LockstepError(effect.code, effect.message));
        return;
      default:
        effect satisfies never;
    }
  }

  /** Again on a link that came anew: the same run, as a rule, so that what is here stays. */
  #prepare(welcome: MessageOf<'welcome'>): void {
    const { dataset, runId } = welcome;
    const before = this.#prepared;
    const here = [before?.dataset ?? null, this.#options.dataset];
    const given = here.find((each) => each?.sha256 === dataset.sha256) ?? null;
    if (given === null) checkDataMemory(dataset);
    this.#threads.start();
    if (this.#options.network !== null) this.#options.network.listener.runId = runId;
    this.#prepared = {
      runId,
      ...(before?.config === welcome.config && given !== null ? before : modelFor(welcome)),
      dataset: given,
      assembly: given !== null ? null : new DatasetAssembly(dataset),
    };
    if (given !== null) this.#whenWarm({ is: 'prepared', hasData: true });
    else this.#handle({ is: 'prepared', hasData: false });
  }

  #takeData(piece: MessageOf<'dataPiece'>): void {
    const prepared = this.#prepared!;
    if (prepared.assembly?.add(piece) !== true) return;
    prepared.dataset = prepared.assembly.finish(datasetSha256);
    prepared.assembly = null;
    this.#whenWarm({ is: 'dataComplete' });
  }

  /** Alone there is nobody who would wait meanwhile. */
  #whenWarm(event: WorkerEvent): void {
    const prepared = this.#prepared!;
    const { run, dataset } = prepared;
    this.#warm ??= this.#options.network === null ? Promise.resolve() : warmUp(run, dataset!, this.#threads);
    const isCurrent = (): boolean => this.#prepared === prepared;
    this.#background(this.#warm.then(() => (isCurrent() ? this.#handle(event) : undefined)));
  }

  /** From a half to below one and a half. */
  #jitter(): number {
    return 0.5 + (this.#options.random ?? Math.random)();
  }

  /** Steps go on without the coordinator as long as all peers are there. */
  async #redial(afterMs: number, refusal: string | null): Promise<void> {
    const { redial } = this.#options;
    if (redial === null) {
      this.#handle({ is: 'gaveUp', message: 'the coordinator is gone' });
      return;
    }
    let link: Link<'worker'>;
    try {
      await sleep(afterMs, undefined, { signal: this.#ending.signal });
      link = await redial(this.#ending.signal, { welcomed: this.#prepared !== null, refusal });
    } catch (error) {
      this.#handle({
        is: 'gaveUp',
        message: `the coordinator did not come back: ${asLockstepError(error).message}`,
      });
      return;
    }
    if (this.#ending.signal.aborted) link.close();
    else this.#open(link);
  }

  /** What belongs to a membership waits until the one before is given up. */
  #whenFormed(generation: number, act: (member: Member) => void): void {
    this.#background(
      this.#forming.then(() => {
        if (this.#machine.generation === generation && this.#member !== null) act(this.#member);
      }),
    );
  }

  async #form(membership: MessageOf<'membership'>): Promise<void> {
    const { generation } = membership;
    const before = this.#member;
    if (before !== null) {
      this.#held = await before.end();
      this.#stepsBefore += before.stepsTaken;
    }
    this.#member = null;
    if (this.#ending.signal.aborted || this.#machine.generation !== generation) return;
    const { run, runId, dataset } = this.#prepared!;
    const { backend, network } = this.#options;
    const member = new Member({
      membership,
      runId,
      run,
      dataset: dataset!,
      backend,
      threads: this.#threads,
      network,
      held: this.#held,
      send: (message) => this.#send(message),
      snapshot: (step, isLast, { memory }) => {
        const isWanted = (): boolean => this.#machine.generation === generation;
        const of = { generation, step, isLast, isWanted };
        this.#background(this.#snapshots.take(of, memory, run.layout, this.#link));
      },
      lease: this.#lease,
      onAccused: (step, { ranks, what }) => this.#handle({ is: 'accused', generation, step, ranks, what }),
      onPeerLost: (rank, why, broken) => this.#handle({ is: 'peerLost', generation, rank, why, broken }),
      onFinished: (step, lanes) => this.#background(this.#finished(generation, step, lanes)),
      onFailed: (error, phase, step) => this.#stepsFailed(error, phase, step),
    });
    this.#member = member;
    this.#handle({ is: 'quiet', generation, step: this.#held?.step ?? null });
    this.#background(this.#build(member, generation));
  }

  /** A membership that was given up meanwhile is nobody's failure; a peer that cannot be reached is the coordinator's to judge. */
  async #build(member: Member, generation: number): Promise<void> {
    try {
      await member.form();
    } catch (error) {
      if (this.#member !== member || this.#machine.generation !== generation) return;
      if (!(error instanceof MeshError)) throw error;
      for (const rank of error.ranks)
        this.#handle({ is: 'peerLost', generation, rank, why: error.message, broken: false });
      return;
    }
    this.#handle({ is: 'aligned', generation, digest: member.digest() });
  }

  /** Told after the snapshots on their way have left: they are from before the failure, and good. */
  #stepsFailed(error: unknown, phase: string, step: number): void {
    const tell = (): void => this.#failed(error, phase, step);
    this.#snapshots.settled.then(tell, tell);
  }

  async #finished(generation: number, step: number, lanes: LanePool): Promise<void> {
    await this.#snapshots.settled;
    const { layout } = this.#prepared!.run;
    const { parameters, statistics } = lanes.memory;
    const sha = await weightsSha256(
      namedTensors(parameters, layout.parameters),
      namedTensors(statistics, layout.statistics),
    );
    this.#handle({ is: 'finished', generation, step, weightsSha256: sha });
  }
}
