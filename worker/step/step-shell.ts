// Carries out the effects of the step machine (I/O): lanes, peers, the coordinator's link. One promise at a time feeds
// its result back as an event; an error anywhere ends the steps with that error.

import type { MessageFrom } from '../../proto/messages.ts';
import type { EngineMemory } from '../../src/engine/memory.ts';
import { shardNotFinite } from '../../src/engine/reports.ts';
import { evaluationPlans, type StepSchedule } from '../../src/engine/schedule.ts';
import { asLockstepError, LockstepError } from '../../src/errors.ts';
import { deferred } from '../../src/platform/deferred.ts';
import type { LanePool } from '../lanes/lane-pool.ts';
import type { Accusation } from './accusation.ts';
import type { ShardLease } from './lease.ts';
import { OverdueWatch } from './overdue.ts';
import type { StepPeers } from './peers.ts';
import { type Owed, type StepEffect, type StepEvent, StepMachine, type StepPlan } from './step-machine.ts';

export interface StepShellOptions {
  readonly plan: StepPlan;
  readonly startStep: number;
  readonly owed: Owed;
  readonly generation: number;
  readonly lanes: LanePool;
  readonly peers: StepPeers | null;
  readonly lease: ShardLease;
  /** Of the largest share of a step. */
  readonly shardsMax: number;
  readonly schedule: StepSchedule;
  readonly testSamples: number;
  readonly batch: number;
  /** Says to the coordinator what every step came to. */
  readonly isReporter: boolean;
  readonly send: (message: MessageFrom<'worker'>) => void;
  /** Throws LOCKSTEP_NOT_FINITE where the state after `step` is not finite. */
  readonly checkState: (step: number) => void;
  /** Of the state as it is. */
  readonly digest: () => number;
  /** Copies the state and sends it on; training goes on meanwhile. */
  readonly snapshot: (step: number, last: boolean) => void;
  /** What went bad in this step, whose weights are those before it: the model, or somebody's part. */
  readonly diagnose: (step: number, sums: Float32Array) => Promise<LockstepError | Accusation>;
  readonly onAccused: (step: number, accusation: Accusation) => void;
  /** Its part of a step is overdue. */
  readonly onPeerOverdue: (rank: number, why: string) => void;
  readonly onFinished: (step: number) => void;
  readonly onFailed: (error: LockstepError, phase: string, step: number) => void;
}

export class StepShell {
  readonly #options: StepShellOptions;
  readonly #machine: StepMachine;
  readonly #memory: EngineMemory;
  #over = false;
  #quiescing = false;
  /** Resolves, never rejects, when no lane runs. */
  #lanesIdle: Promise<unknown> = Promise.resolve();
  #lanesBusy = false;
  /** Rejects when the lanes are given up. */
  readonly #lanesStuck = deferred<never>();
  #overdue: OverdueWatch | null = null;
  /** Sums of all shards of the step in flight, or of the last ones of a task. */
  #sums: Float32Array[] = [];
  #firstSums = 0;
  #startedMs = 0;
  #secondsPerStep = 0;

  constructor(options: StepShellOptions) {
    this.#options = options;
    this.#machine = new StepMachine(options.plan, options.startStep, options.owed);
    this.#memory = options.lanes.memory;
    this.#lanesStuck.promise.catch(() => undefined);
  }

  get step(): number {
    return this.#machine.step;
  }

  /** Steps of the run that are taken. */
  get committed(): number {
    return this.#machine.committed;
  }

  begin(): void {
    const { lease, shardsMax, peers, onPeerOverdue } = this.#options;
    this.#startedMs = performance.now();
    this.#overdue = new OverdueWatch({
      lease,
      shards: shardsMax,
      where: () => `step ${this.#machine.step}, ${this.#machine.doing}`,
      lanesBusy: () => this.#lanesBusy,
      waitingFor: () => peers?.waitingFor(this.#machine.step) ?? [],
      onLanesStuck: (error) => {
        this.#lanesStuck.reject(error);
        this.#fail(error);
      },
      onPeerOverdue,
    });
    this.#handle({ is: 'begin' });
  }

  /** After the step in flight. */
  stop(): void {
    this.#handle({ is: 'stop' });
  }

  /**
   * Gives up the step in flight. Resolves with the newest committed step when the lanes are idle: an update that had begun
   * is applied, everything else is as if it had not been. Rejects when the lanes outlast their lease.
   */
  async quiesce(): Promise<number> {
    this.#quiescing = true;
    await Promise.race([this.#lanesIdle, this.#lanesStuck.promise]);
    this.#over = true;
    this.#overdue?.end();
    return this.#machine.committed;
  }

  #handle(event: StepEvent): void {
    if (this.#over) return;
    try {
      for (const effect of this.#machine.handle(event)) {
        if (!this.#quiescing && !this.#over) this.#carryOut(effect);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown, step = this.#machine.step): void {
    if (this.#over) return;
    this.#over = true;
    this.#overdue?.end();
    this.#options.onFailed(asLockstepError(error), this.#machine.doing, step);
  }

  /** What `work` resolves with is the next event. */
  #await(work: Promise<StepEvent>): Promise<void> {
    return work.then(
      (event) => this.#handle(event),
      (error: unknown) => this.#fail(error),
    );
  }

  /** The same, of work that the lanes do. */
  #awaitLanes(work: Promise<StepEvent>): void {
    this.#lanesBusy = true;
    this.#overdue?.turned();
    const idle = (): void => {
      this.#lanesBusy = false;
      this.#overdue?.turned();
    };
    work.then(idle, idle);
    this.#lanesIdle = this.#await(work);
  }

  #carryOut(effect: StepEffect): void {
    const { onFinished } = this.#options;
    switch (effect.do) {
      case 'runSegment':
        this.#awaitLanes(this.#runSegment(effect.step, effect.segment));
        return;
      case 'exchange':
        void this.#await(this.#exchange(effect.step, effect.exchange));
        return;
      case 'reduce':
        void this.#await(this.#reduce(effect.step, effect.bucket));
        return;
      case 'swapReports':
        void this.#await(this.#swapReports(effect.step, effect.stop));
        return;
      case 'runUpdate':
        this.#awaitLanes(this.#runUpdate(effect.segment));
        return;
      case 'runTask':
        this.#awaitLanes(this.#runTask(effect.step, effect.steps));
        return;
      case 'report':
        this.#report(effect.step);
        return;
      case 'evaluate':
        this.#awaitLanes(this.#evaluate(effect.step));
        return;
      case 'digest':
        this.#digest(effect.step);
        return;
      case 'snapshot':
        this.#snapshot(effect.step, effect.last);
        return;
      case 'diagnose':
        void this.#diagnose(effect.step).catch((error: unknown) => this.#fail(error));
        return;
      case 'finish':
        this.#over = true;
        this.#overdue?.end();
        onFinished(effect.step);
        return;
      default:
        effect satisfies never;
    }
  }

  /** A coordinator that is away compares the states when it forms the next membership. */
  #digest(step: number): void {
    const { generation, digest, send } = this.#options;
    send({ type: 'digest', generation, step, digest: digest() });
  }

  /** Every worker looks at its state, so that all say the same of it; one sends it. */
  #snapshot(step: number, last: boolean): void {
    const { checkState, isReporter, snapshot } = this.#options;
    try {
      checkState(step);
    } catch (error) {
      this.#fail(error, step);
      return;
    }
    if (isReporter) snapshot(step, last);
  }

  /** Where it is somebody's part, the next membership computes the step again. */
  async #diagnose(step: number): Promise<void> {
    this.#overdue?.end();
    const verdict = await this.#options.diagnose(step, this.#sums.at(-1)!);
    if (verdict instanceof LockstepError) this.#fail(verdict);
    else if (!this.#quiescing) this.#options.onAccused(step, verdict);
  }

  async #runSegment(step: number, segment: number): Promise<StepEvent> {
    const { lanes, schedule } = this.#options;
    if (segment === 0) this.#memory.writeStepTable(0, schedule.at(step));
    const gather = segment === 0 ? 'train' : null;
    await lanes.run(this.#memory.compiled.step[segment]!, 0, { gather }, (event) => {
      if (event.kind === 'emit') this.#handle({ is: 'bucketReady', bucket: event.bucket });
      else this.#handle({ is: 'exchangeReady', exchange: event.exchange });
    });
    return { is: 'segmentDone' };
  }

  async #exchange(step: number, exchange: number): Promise<StepEvent> {
    await this.#options.peers!.exchange(step, exchange);
    return { is: 'exchanged', exchange };
  }

  async #reduce(step: number, bucket: number): Promise<StepEvent> {
    await this.#options.peers!.reduce(step, bucket);
    return { is: 'bucketReduced', bucket };
  }

  async #swapReports(step: number, stop: boolean): Promise<StepEvent> {
    const own = this.#memory.readReports(0);
    const swapped = await this.#options.peers!.swapReports(step, own, stop);
    this.#sums = [swapped.sums];
    this.#firstSums = step;
    const finite = shardNotFinite(swapped.sums, this.#shards) === null;
    return { is: 'reportsSwapped', finite, stop: swapped.stop };
  }

  async #runUpdate(segment: number): Promise<StepEvent> {
    const { lanes } = this.#options;
    const finite = await lanes.run(this.#memory.compiled.update[segment]!, 0, { gather: null });
    return { is: 'updated', finite };
  }

  async #runTask(step: number, steps: number): Promise<StepEvent> {
    const { lanes, schedule } = this.#options;
    for (let i = 0; i < steps; i += 1) this.#memory.writeStepTable(i, schedule.at(step + i));
    const done = await lanes.runAlone(0, steps);
    const finite = done === steps;
    this.#sums = Array.from({ length: finite ? steps : done + 1 }, (_, i) => this.#memory.readReports(i));
    this.#firstSums = step;
    this.#measure(Math.max(1, done));
    return { is: 'taskDone', steps: done, finite, secondsPerStep: this.#secondsPerStep };
  }

  /** `steps` steps were done since the last time. */
  #measure(steps: number): void {
    const nowMs = performance.now();
    const stepMs = (nowMs - this.#startedMs) / steps;
    const { lease, shardsMax } = this.#options;
    lease.took(stepMs, shardsMax);
    this.#overdue?.progressed();
    this.#secondsPerStep = stepMs / 1000;
    this.#startedMs = nowMs;
  }

  #report(step: number): void {
    const { generation, isReporter, send, plan } = this.#options;
    const slot = plan.alone ? step - this.#firstSums : 0;
    if (!plan.alone) this.#measure(1);
    if (!isReporter) return;
    const sums = this.#sums[step - this.#firstSums]!;
    send({
      type: 'report',
      generation,
      step,
      sums: new Uint8Array(sums.buffer),
      gradientNorm: this.#memory.gradientNorm(slot),
      seconds: this.#secondsPerStep,
    });
  }

  async #evaluate(step: number): Promise<StepEvent> {
    const { lanes, testSamples, batch, generation, send } = this.#options;
    const { compiled } = this.#memory;
    const { firstShard, endShard } = compiled.assignment;
    const reports = compiled.reports.length;
    const plans = evaluationPlans(testSamples, batch);
    const size = (endShard - firstShard) * reports;
    const sums = new Float32Array(plans.length * size);
    const begunMs = performance.now();
    for (const [i, plan] of plans.entries()) {
      if (this.#quiescing) return { is: 'evaluated' };
      this.#overdue?.progressed();
      this.#memory.writeStepTable(0, plan);
      await lanes.run(compiled.evaluate, 0, { gather: 'test' });
      sums.set(this.#memory.readReports(0).subarray(firstShard * reports, endShard * reports), i * size);
    }
    send({ type: 'evaluation', generation, step, firstShard, sums: new Uint8Array(sums.buffer) });
    this.#startedMs = performance.now();
    // The others may be at it for longer.
    this.#overdue?.progressed(this.#startedMs - begunMs);
    return { is: 'evaluated' };
  }

  get #shards(): number {
    return this.#memory.compiled.assignment.shards;
  }
}
