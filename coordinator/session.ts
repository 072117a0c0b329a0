// One run's coordinator (I/O): links of workers on one side, the pure machine in the middle, files and events on the
// other. It decides nothing; effects of the machine are carried out here.

import { dirname } from 'node:path';
import { isMisconduct, ProtocolError } from '../proto/error.ts';
import type { MessageOf } from '../proto/messages.ts';
import { silenceOnceCompiledMs } from '../proto/silence.ts';
import { closeCodes } from '../proto/transport/connection.ts';
import { closeText, type Link } from '../proto/transport/link.ts';
import { protocolVersion } from '../proto/version.ts';
import type { Checkpoint } from '../src/checkpoint/state.ts';
import { describeDataset } from '../src/data/share.ts';
import type { EvaluationEvent, RunEvent, RunResult } from '../src/engine/events.ts';
import { stateBytesOf } from '../src/engine/state.ts';
import { asLockstepError, type ErrorCode, LockstepError } from '../src/errors.ts';
import { deferred } from '../src/platform/deferred.ts';
import { packageVersion } from '../src/platform/package-root.ts';
import { printable } from '../src/platform/printable.ts';
import { Timers } from '../src/platform/timers.ts';
import { BulkSender } from './bulk-sender.ts';
import { CheckpointKeeper } from './checkpoint-keeper.ts';
import type { ConnectionId, CoordinatorEffect, CoordinatorEvent, Timer } from './effects.ts';
import { EventOrder } from './event-order.ts';
import type { Journal } from './journal.ts';
import { CoordinatorMachine } from './machine.ts';
import { NameSecrets } from './name-secrets.ts';
import { Patience } from './patience.ts';
import { evaluationEvent, stepEvent } from './reporter.ts';
import type { RunPlan } from './run-plan.ts';

export interface SessionOptions {
  readonly plan: RunPlan;
  readonly workersWanted: number;
  readonly workersMin: number;
  readonly journal: Journal;
  /** Workers may be left of the coordinator before: processes that did not end with it. */
  readonly membersComeBack: boolean;
  /** The checkpoint to go on from. */
  readonly from: Checkpoint | null;
  readonly onEvent: (event: RunEvent) => void;
}

export class CoordinatorSession {
  readonly #options: SessionOptions;
  readonly #machine: CoordinatorMachine;
  readonly #links = new Map<ConnectionId, Link<'coordinator'>>();
  readonly #keeper: CheckpointKeeper;
  readonly #bulk = new BulkSender();
  readonly #timers = new Timers();
  readonly #order: EventOrder;
  readonly #names: NameSecrets;
  /** By connection: workers that were sent their welcome. */
  readonly #welcomed = new Map<ConnectionId, string>();
  readonly #result = deferred<RunResult>();
  readonly #allClosed = deferred<void>();
  /** Connections are being ended, and no more are taken. */
  #isClosing = false;
  #nextConnection = 1;
  #generation = 0;
  /** Members of it. */
  #world = 0;
  readonly #stateBytes: number;
  /** The start was told. */
  #started = false;
  #lastMetrics: RunResult['metrics'] = {};

  constructor(options: SessionOptions) {
    this.#options = options;
    const { plan, from, journal } = options;
    const { cadence } = plan.facts;
    this.#stateBytes = stateBytesOf(plan.layout);
    this.#names = new NameSecrets(
      journal.nameKey,
      journal.runId,
      options.membersComeBack ? journal.names : [],
    );
    this.#machine = new CoordinatorMachine({
      runId: journal.runId,
      generation: journal.generation,
      membersBefore: options.membersComeBack ? journal.members : [],
      replayTo: journal.replayTo,
      workersWanted: options.workersWanted,
      workersMin: options.workersMin,
      shards: plan.config.shards,
      reports: plan.facts.names.length,
      evaluationBatches: Math.ceil(plan.facts.testSamples / plan.facts.batch),
      packageVersion: packageVersion(),
      protocolVersion,
      checkpointStep: from?.step ?? null,
      endStep: plan.endStep,
      steps: plan.facts.cadence.steps,
      fingerprint: from?.fingerprint ?? null,
      numerics: journal.numerics,
      evaluateAfter: (step) => step > 0 && cadence.evaluateAfter(step),
      checkpointAfter: (step) => step > 0 && (step === plan.endStep || cadence.checkpointAfter(step)),
    });
    this.#keeper = new CheckpointKeeper(plan, from, {
      came: (step, digest) => this.#handle({ is: 'snapshotCame', step, digest }),
      whole: (step) => {
        journal.check();
        this.#handle({ is: 'snapshotWhole', step });
      },
      written: (path, step) => {
        journal.check();
        journal.keepsIn(dirname(path));
        journal.kept(step);
        this.#handle({ is: 'checkpointed', step });
        options.onEvent({ event: 'checkpoint', step, path });
      },
    });
    this.#order = new EventOrder((step) => cadence.evaluateAfter(step), options.onEvent);
    // The caller awaits the result when everything is set up; until then nobody does.
    this.#result.promise.catch(() => undefined);
  }

  /** How the run ended; rejects with a LockstepError. */
  get result(): Promise<RunResult> {
    return this.#result.promise;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** A worker that passed the upgrade. */
  accept(link: Link<'coordinator'>): void {
    // Until the last checkpoint is written the run is not over for a worker that comes back: it is told how it ended.
    if (this.#isClosing) {
      link.close(closeCodes.failure, 'the run is over');
      return;
    }
    const connection = this.#nextConnection++;
    this.#links.set(connection, link);
    this.#handle({ is: 'connected', connection, address: link.remoteAddress });
    const patience = new Patience(() => silenceOnceCompiledMs(this.#world, this.#stateBytes));
    link.watch(
      () => patience.silenceMs,
      () => patience.lives(),
    );
    link.start({
      onMessage: (message) => {
        patience.heard(message);
        const name = this.#welcomed.get(connection);
        if (name !== undefined) this.#names.own(name);
        // A second hello of one that was welcomed is for the machine to judge.
        const refusal =
          message.type === 'hello' && name === undefined ? this.#names.refusalOf(message) : null;
        if (refusal !== null) {
          link.send(refusal);
          link.close(closeCodes.failure);
          this.#notice(`refused a worker at ${link.remoteAddress}: ${refusal.message}`);
          return;
        }
        this.#handle({ is: 'message', connection, message });
      },
      onClose: (reason) => {
        this.#links.delete(connection);
        this.#welcomed.delete(connection);
        if (this.#isClosing && this.#links.size === 0) this.#allClosed.resolve();
        this.#handle({
          is: 'closed',
          connection,
          why: closeText(reason),
          misconduct: reason.kind === 'protocol' && isMisconduct(reason.error.code),
        });
      },
    });
  }

  /** Finish the step in flight, keep a checkpoint, end. */
  stop(): void {
    this.#handle({ is: 'stop' });
  }

  fail(code: ErrorCode, message: string): void {
    this.#handle({ is: 'failed', code, message });
  }

  /** A worker process of this machine ended by itself: a failure that a worker told is the cause, where there is one. */
  processEnded(message: string): void {
    this.#handle({ is: 'processEnded', message });
  }

  #handle(event: CoordinatorEvent): void {
    try {
      for (const effect of this.#machine.handle(event, performance.now())) this.#carryOut(effect);
    } catch (error) {
      this.#broke(error);
    }
  }

  /** Something threw that must not: the run ends, the workers are told. */
  #broke(thrown: unknown): void {
    const error = this.#causeOf(asLockstepError(thrown));
    if (this.#machine.phase === 'over') void this.#brokeAtTheEnd(error);
    else this.fail(error.code, error.message);
  }

  /** A file that cannot be written may be one whose directory was taken away. */
  #causeOf(error: LockstepError): LockstepError {
    if (error.code !== 'LOCKSTEP_FILE_SYSTEM') return error;
    try {
      this.#options.journal.check();
      return error;
    } catch (cause) {
      return asLockstepError(cause);
    }
  }

  /** The machine has had its say, but the last checkpoint could not be written: the workers wait for `done`. */
  async #brokeAtTheEnd(error: LockstepError): Promise<void> {
    const at = { generation: this.#generation, step: 0, phase: 'coordinator' };
    await this.#closeAll({
      type: 'failure',
      code: error.code,
      message: error.message.slice(0, 2_000),
      ...at,
    });
    this.#result.reject(error);
  }

  #notice(message: string): void {
    this.#options.onEvent({ event: 'notice', message: printable(message) });
  }

  /** Background work of one connection: what goes wrong in it ends the run, never silently. */
  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#broke(error));
  }

  #carryOut(effect: CoordinatorEffect): void {
    const { onEvent, plan } = this.#options;
    switch (effect.do) {
      case 'send':
        this.#links.get(effect.connection)?.send(effect.message);
        return;
      case 'welcome':
        this.#welcomed.set(effect.connection, effect.workerId);
        this.#links.get(effect.connection)?.send(this.#welcome(effect.workerId));
        return;
      case 'close':
        this.#links.get(effect.connection)?.close(closeCodes.failure);
        return;
      case 'sendData':
      case 'sendState':
        this.#sendBulk(effect);
        return;
      case 'notice':
        this.#notice(effect.message);
        return;
      case 'formed':
        this.#formed(effect);
        return;
      case 'aligned':
        if (effect.goesBack) {
          this.#keeper.wentBack(effect.step);
          this.#order.wentBack(effect.step);
        }
        this.#order.aligned(effect.step);
        onEvent({ event: 'notice', message: `generation ${this.#generation}: ${effect.reason}` });
        return;
      case 'journal':
        this.#options.journal.formed(effect.generation, effect.workerIds, effect.numerics, effect.replayTo);
        return;
      case 'setTimer':
        this.#setTimer(effect.timer, effect.ms);
        return;
      case 'stepReport': {
        const event = stepEvent(effect.report, plan.facts);
        if (plan.facts.testSamples === 0) this.#lastMetrics = event.metrics;
        this.#order.step(event);
        return;
      }
      case 'evaluation': {
        this.#evaluated(evaluationEvent(effect.step, effect.parts, plan.facts));
        return;
      }
      case 'statePiece':
        this.#takePiece(effect.connection, effect.piece);
        return;
      case 'keep':
        this.#background(this.#keeper.keep(effect.step));
        return;
      case 'end':
        this.#over();
        this.#background(this.#end(effect.step, effect.weightsSha256));
        return;
      case 'fail':
        this.#over();
        this.#background(this.#failed(effect.code, effect.message));
        return;
      default:
        effect satisfies never;
    }
  }

  /** The machine has had its last say. */
  #over(): void {
    this.#timers.end();
    this.#order.end();
  }

  #sendBulk(effect: Extract<CoordinatorEffect, { do: 'sendData' | 'sendState' }>): void {
    const link = this.#links.get(effect.connection);
    if (link === undefined) return;
    this.#background(
      effect.do === 'sendData'
        ? this.#bulk.sendData(link, this.#options.plan.dataset)
        : this.#bulk.sendState(link, effect, (step) => this.#keeper.stateAt(step)),
    );
  }

  #evaluated(event: EvaluationEvent): void {
    this.#lastMetrics = event.metrics;
    this.#order.evaluated(event);
    if (Number.isFinite(event.metrics.loss)) {
      this.#background(this.#keeper.measured(event.step, event.metrics));
      return;
    }
    this.fail(
      'LOCKSTEP_NOT_FINITE',
      `the loss on held-out samples is not finite after step ${event.step}, so no checkpoint of it is kept; ` +
        'the one before stays. Try a smaller learning rate or clipNorm',
    );
  }

  #welcome(workerId: string): MessageOf<'welcome'> {
    const { plan } = this.#options;
    const described = describeDataset(plan.dataset);
    return {
      type: 'welcome',
      runId: this.#machine.runId,
      config: JSON.stringify(plan.config),
      workerId,
      nameSecret: this.#names.secretOf(workerId),
      dataset: { ...described, inputShape: [...described.inputShape] },
    };
  }

  #setTimer(timer: Timer, ms: number): void {
    this.#timers.after(ms, () => this.#handle({ is: 'timer', timer }));
  }

  #formed(effect: Extract<CoordinatorEffect, { do: 'formed' }>): void {
    const { onEvent, plan, from } = this.#options;
    this.#keeper.fingerprint = effect.fingerprint;
    this.#generation = effect.generation;
    this.#world = effect.members.length;
    this.#background(this.#keeper.forget());
    this.#setTimer({ kind: 'forming', generation: effect.generation }, effect.formingMs);
    if (!this.#started)
      onEvent({
        event: 'start',
        name: plan.config.name,
        workers: plan.workers,
        threads: effect.members[0]?.threads ?? 1,
        shards: plan.config.shards,
        backend: effect.backend as 'native' | 'wasm' | 'reference',
        variant: effect.variant,
        fingerprint: effect.fingerprint,
        parameters: plan.parameterCount,
        trainSamples: plan.facts.trainSamples,
        testSamples: plan.facts.testSamples,
        batch: plan.config.batch,
        stepsPerEpoch: plan.facts.cadence.stepsPerEpoch,
        steps: plan.facts.cadence.steps,
        firstStep: from?.step ?? 0,
        seed: plan.config.seed,
        out: plan.out,
      });
    this.#started = true;
    onEvent({
      event: 'membership',
      generation: effect.generation,
      world: effect.members.length,
      wanted: this.#options.workersWanted,
      reason: printable(effect.reason),
    });
  }

  #takePiece(connection: ConnectionId, piece: MessageOf<'statePiece'>): void {
    try {
      this.#keeper.take(piece);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#handle({ is: 'misconduct', connection, what: `it sent a wrong snapshot: ${error.message}` });
    }
  }

  async #end(step: number, weightsSha256: string): Promise<void> {
    await this.#keeper.settled();
    const { plan } = this.#options;
    const stopped = step < plan.facts.cadence.steps;
    await this.#closeAll({ type: 'done', step, stopped });
    this.#noteEnd(step);
    this.#result.resolve({
      steps: step,
      weightsSha256,
      metrics: this.#lastMetrics,
      checkpoint: this.#keeper.newestPath,
      stopped,
    });
  }

  /** The checkpoint is safe: a full disk costs the note alone, a directory that was taken away the run. */
  #noteEnd(step: number): void {
    const { journal, onEvent } = this.#options;
    journal.check();
    try {
      journal.ended(step);
    } catch (error) {
      onEvent({
        event: 'notice',
        message: `the end is not in the journal: ${asLockstepError(error).message}`,
      });
    }
  }

  /** Checkpoints in the making are finished first: a failure loses nothing that was good. */
  async #failed(code: ErrorCode, message: string): Promise<void> {
    try {
      await this.#keeper.forget();
      await this.#keeper.settled();
    } finally {
      await this.#closeAll(null);
      this.#result.reject(new LockstepError(code, message));
    }
  }

  /** Ends every connection in order; resolves when all have ended, which a link does within limits.closeTimeoutMs. */
  #closeAll(last: MessageOf<'done' | 'failure'> | null): Promise<void> {
    this.#isClosing = true;
    for (const link of this.#links.values()) {
      if (last !== null) link.send(last);
      link.close(last?.type === 'done' ? closeCodes.done : closeCodes.failure);
    }
    if (this.#links.size === 0) this.#allClosed.resolve();
    return this.#allClosed.promise;
  }
}
