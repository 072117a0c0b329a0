// A coordinator process of the simulator: the real CoordinatorMachine over a disk that survives it. It does what
// coordinator/session.ts and journal.ts do, with virtual time and the simulator's network; keeper.ts keeps the checkpoints.

import type { CoordinatorEffect, CoordinatorEvent, Timer } from '../../coordinator/effects.ts';
import { CoordinatorMachine } from '../../coordinator/machine.ts';
import { Patience } from '../../coordinator/patience.ts';
import { ProtocolError } from '../../proto/error.ts';
import { checkMessage, type MessageFrom, type MessageOf } from '../../proto/messages.ts';
import { silenceOnceCompiledMs } from '../../proto/silence.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { alignedFloats } from '../../worker/collective/floats.ts';
import { Host } from './clock.ts';
import type { Disk } from './disk.ts';
import { Keeper } from './keeper.ts';
import type { End } from './network.ts';
import { pieces, stateBytes } from './serial.ts';
import type { Simulation } from './simulation.ts';

export class CoordinatorProcess {
  readonly simulation: Simulation;
  readonly host: Host;
  readonly #disk: Disk;
  readonly #machine: CoordinatorMachine;
  readonly #links = new Map<number, End>();
  #nextConnection = 1;
  #world = 0;
  #reported: number;
  readonly #keeper: Keeper;

  constructor(simulation: Simulation, disk: Disk) {
    this.simulation = simulation;
    this.host = new Host('coordinator', simulation.clock);
    this.#disk = disk;
    const { task, workersWanted, workersMin } = simulation;
    const { newest } = disk;
    disk.inUse = [];
    simulation.observers.restarted(newest);
    this.#keeper = new Keeper(simulation, this.host, disk, {
      came: (step, digest) => this.#handle({ is: 'snapshotCame', step, digest }),
      whole: (step) => this.#handle({ is: 'snapshotWhole', step }),
      written: (step) => this.#handle({ is: 'checkpointed', step }),
      failed: () => this.#broke('LOCKSTEP_FILE_SYSTEM', 'a checkpoint cannot be written'),
    });
    this.#reported = newest ?? 0;
    this.#machine = new CoordinatorMachine({
      runId: 'run',
      generation: disk.generation,
      membersBefore: disk.members,
      replayTo: disk.replayTo,
      workersWanted,
      workersMin,
      shards: task.shards,
      reports: 1,
      evaluationBatches: 1,
      packageVersion: '1.0.0',
      protocolVersion: 1,
      checkpointStep: newest,
      endStep: task.steps,
      steps: task.steps,
      fingerprint: newest === null ? null : simulation.fingerprint,
      numerics: simulation.broken === 'forgetsNumerics' ? null : disk.numerics,
      evaluateAfter: (step) => simulation.evaluateAfter(step),
      checkpointAfter: (step) => simulation.checkpointAfter(step),
    });
    simulation.network.listen(this.host, (end) => this.#accept(end));
  }

  get describe(): string {
    return `coordinator ${this.#machine.phase}`;
  }

  /** Ctrl-C. */
  stop(): void {
    this.host.run(() => this.#handle({ is: 'stop' }));
  }

  #accept(link: End): void {
    const connection = this.#nextConnection++;
    this.#links.set(connection, link);
    this.#handle({ is: 'connected', connection, address: link.other.host.name });
    const patience = new Patience(() => silenceOnceCompiledMs(this.#world, stateBytes));
    link.watch(
      () => patience.silenceMs,
      () => patience.lives(),
    );
    link.start({
      onMessage: (raw) => {
        const message = checkMessage(raw, 'worker');
        patience.heard(message);
        if (this.#hears(message)) this.#handle({ is: 'message', connection, message });
      },
      onClose: (kind, why) => {
        this.#links.delete(connection);
        this.#handle({ is: 'closed', connection, why, misconduct: kind === 'protocol' });
      },
    });
  }

  /** Whether the machine hears it: the twins hear too much or too little. */
  #hears(message: MessageFrom<'worker'>): boolean {
    const { broken, observers } = this.simulation;
    if (broken === 'countsOldReports' && message.type === 'report') observers.reported(message);
    return broken !== 'neverStarts' || message.type !== 'ready' || message.generation === 0;
  }

  #handle(event: CoordinatorEvent): void {
    this.simulation.trace('coordinator', 'hears', event);
    for (const effect of this.#machine.handle(event, this.host.nowMs)) {
      if (this.simulation.crashesHere(this.host)) return;
      this.simulation.trace('coordinator', 'does', effect);
      if (effect.do === 'journal' && !this.#journal(effect)) return;
      this.#carryOut(effect);
      if (!this.host.isAlive) return;
    }
  }

  /** Durable when it says so; where the disk failed the line may be there or not, and nobody hears of what it says. */
  #journal(line: Extract<CoordinatorEffect, { do: 'journal' }>): boolean {
    const { observers, random, broken } = this.simulation;
    const fails = this.#disk.fails('journal');
    if (!fails) observers.journalled(line.generation);
    if (broken !== 'forgetsGenerations' && (!fails || random.chance(0.5))) this.#disk.append(line);
    if (fails) this.#broke('LOCKSTEP_FILE_SYSTEM', 'the journal cannot be written');
    return !fails;
  }

  /** Something went wrong that must not: the run ends, the workers are told. */
  #broke(code: ErrorCode, message: string): void {
    this.simulation.trace('coordinator', 'breaks', { code, message });
    if (this.#machine.phase !== 'over') this.#handle({ is: 'failed', code, message });
    else {
      const at = { generation: this.#disk.generation, step: 0, phase: 'coordinator' };
      for (const link of this.#links.values()) link.send({ type: 'failure', code, message, ...at });
      this.#over();
      this.simulation.runFailed(code, message);
    }
  }

  #setTimer(timer: Timer, ms: number): void {
    this.host.timer(ms, () => this.#handle({ is: 'timer', timer }));
  }

  #carryOut(effect: CoordinatorEffect): void {
    const { observers } = this.simulation;
    switch (effect.do) {
      case 'send':
        this.simulation.keptOut(effect.message);
        this.#send(effect.connection, effect.message);
        return;
      case 'welcome':
        this.#send(effect.connection, this.#welcome(effect.workerId));
        return;
      case 'close':
        this.#links.get(effect.connection)?.close('the coordinator ends it');
        return;
      case 'sendData':
        this.host.after(1, () =>
          this.#send(effect.connection, {
            type: 'dataPiece',
            part: 'trainInputs',
            offset: 0,
            bytes: new Uint8Array(1),
          }),
        );
        return;
      case 'sendState':
        this.#sendState(effect);
        return;
      case 'journal':
        return;
      case 'formed':
        this.#formed(effect);
        return;
      case 'aligned':
        this.#aligned(effect);
        return;
      case 'setTimer':
        this.#setTimer(effect.timer, effect.ms);
        return;
      case 'stepReport':
        observers.expect(effect.report.step > this.#reported, `step ${effect.report.step} is told once`);
        this.#reported = effect.report.step;
        observers.reported(effect.report);
        return;
      case 'evaluation':
        observers.evaluated(effect.step, effect.parts);
        this.#keeper.measured(
          effect.step,
          effect.parts.flatMap(({ sums }) => [...alignedFloats(sums)]).reduce((sum, loss) => sum + loss, 0),
        );
        return;
      case 'statePiece':
        this.#takePiece(effect.connection, effect.piece);
        return;
      case 'keep':
        this.#keeper.keep(effect.step);
        return;
      case 'end':
        this.#end(effect.step, effect.weightsSha256);
        return;
      case 'fail':
        this.#fail(effect.code, effect.message);
        return;
      case 'notice':
        return;
      default:
        effect satisfies never;
    }
  }

  #formed({ generation, members, reason, formingMs }: Extract<CoordinatorEffect, { do: 'formed' }>): void {
    this.#world = members.length;
    const workers = members.map(({ workerId }) => workerId);
    this.simulation.observers.formed(generation, workers);
    this.simulation.formedFor(reason);
    this.#keeper.forget();
    this.#setTimer({ kind: 'forming', generation }, formingMs);
  }

  #aligned({ step, goesBack }: Extract<CoordinatorEffect, { do: 'aligned' }>): void {
    if (goesBack) {
      this.#keeper.wentBack(step);
      this.#reported = step;
    }
    this.simulation.observers.aligned(step, goesBack);
  }

  #end(step: number, weightsSha256: string): void {
    const { steps } = this.simulation.task;
    const end = (): void => {
      for (const link of this.#links.values()) link.send({ type: 'done', step, stopped: step < steps });
      this.#over();
      this.simulation.runEnded(step, weightsSha256);
    };
    if (this.simulation.broken === 'endsBeforeWriting') end();
    else this.#keeper.settled(end);
  }

  #fail(code: ErrorCode, message: string): void {
    this.#keeper.settled(() => {
      this.#over();
      this.simulation.runFailed(code, message);
    });
  }

  /** All connections end in order, then the process. */
  #over(): void {
    for (const link of [...this.#links.values()]) link.close('the run is over');
    this.host.kill();
  }

  #send(connection: number, message: MessageFrom<'coordinator'>): void {
    this.#links.get(connection)?.send(checkMessage(message, 'coordinator'));
  }

  #welcome(workerId: string): MessageOf<'welcome'> {
    const dataset = {
      sha256: this.simulation.fingerprint,
      inputShape: [1],
      targetSize: 1,
      classes: 2,
      trainSamples: 1,
      testSamples: 1,
    };
    return { type: 'welcome', runId: 'run', config: '{}', workerId, nameSecret: '0'.repeat(64), dataset };
  }

  #sendState({ connection, generation, step }: Extract<CoordinatorEffect, { do: 'sendState' }>): void {
    const link = this.#links.get(connection) ?? null;
    // Read from disk first.
    this.#disk.inUse.push(step);
    this.host.after(this.#disk.slownessMs * this.simulation.random.between(0, 20), () => {
      const state = this.#disk.read(step);
      this.#disk.inUse.splice(this.#disk.inUse.indexOf(step), 1);
      if (state === null) this.#broke('LOCKSTEP_CHECKPOINT_INVALID', `the checkpoint of step ${step}`);
      else pieces(link, state, generation, step, () => undefined);
    });
  }

  #takePiece(connection: number, piece: MessageOf<'statePiece'>): void {
    this.simulation.observers.acknowledged(piece.generation, `a snapshot of step ${piece.step}`);
    try {
      this.#keeper.take(piece);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#handle({ is: 'misconduct', connection, what: `it sent a wrong snapshot: ${error.message}` });
    }
  }
}
