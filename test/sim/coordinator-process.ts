// A coordinator process of the simulator: the real CoordinatorMachine over a disk that survives it. It does what
// coordinator/session.ts, journal.ts and checkpoint-keeper.ts do, with virtual time and the simulator's network.

import type { CoordinatorEffect, CoordinatorEvent } from '../../coordinator/effects.ts';
import { CoordinatorMachine } from '../../coordinator/machine.ts';
import { Patience } from '../../coordinator/patience.ts';
import { checkMessage, type MessageFrom, type MessageOf } from '../../proto/messages.ts';
import { PieceAssembler } from '../../proto/transport/bulk.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { Host } from './clock.ts';
import type { End } from './network.ts';
import { pieces, Serial, stateBytes } from './serial.ts';
import type { Simulation } from './simulation.ts';

/** What a crash leaves: a journal's newest generation, and checkpoints by step. */
export interface Disk {
  generation: number;
  members: readonly string[];
  readonly quarantined: Map<string, string>;
  readonly checkpoints: Map<number, Float32Array>;
}

interface Snapshot {
  readonly step: number;
  readonly bytes: Uint8Array;
  readonly assembler: PieceAssembler;
}

export class CoordinatorProcess {
  readonly simulation: Simulation;
  readonly host: Host;
  readonly #disk: Disk;
  readonly #machine: CoordinatorMachine;
  readonly #links = new Map<number, End>();
  #nextConnection = 1;
  #reported: number;
  #incoming: Snapshot | null = null;
  /** Whole, but its evaluation is not. */
  #held: Snapshot | null = null;
  #measured: number | null = null;
  readonly #writing = new Serial();

  constructor(simulation: Simulation, disk: Disk) {
    this.simulation = simulation;
    this.host = new Host('coordinator', simulation.clock);
    this.#disk = disk;
    const { task, workersWanted, workersMin } = simulation;
    const newest = disk.checkpoints.size === 0 ? null : Math.max(...disk.checkpoints.keys());
    this.#reported = newest ?? 0;
    this.#machine = new CoordinatorMachine({
      runId: 'run',
      generation: disk.generation,
      membersBefore: disk.members,
      quarantined: disk.quarantined,
      workersWanted,
      workersMin,
      shards: task.shards,
      reports: 1,
      evaluationBatches: 1,
      packageVersion: '1.0.0',
      protocolVersion: 1,
      checkpointStep: newest,
      endStep: task.steps,
      fingerprint: newest === null ? null : simulation.fingerprint,
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
    if (this.#machine.phase === 'over') {
      link.close('the run is over');
      return;
    }
    const connection = this.#nextConnection++;
    this.#links.set(connection, link);
    this.#handle({ is: 'connected', connection, address: link.other.host.name });
    const patience = new Patience();
    link.watch(() => patience.silenceMs);
    link.start({
      onMessage: (raw) => {
        const message = checkMessage(raw, 'worker');
        patience.heard(message);
        this.#handle({ is: 'message', connection, message });
      },
      onClose: (_kind, why) => {
        this.#links.delete(connection);
        this.#handle({ is: 'closed', connection, why });
      },
    });
  }

  #handle(event: CoordinatorEvent): void {
    this.simulation.trace('coordinator', 'hears', event);
    for (const effect of this.#machine.handle(event)) {
      if (this.simulation.crashesHere(this.host)) return;
      this.simulation.trace('coordinator', 'does', effect);
      this.#carryOut(effect);
      if (!this.host.isAlive) return;
    }
  }

  #carryOut(effect: CoordinatorEffect): void {
    const { observers } = this.simulation;
    switch (effect.do) {
      case 'send':
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
        observers.journalled(effect.generation);
        Object.assign(this.#disk, { generation: effect.generation, members: effect.workerIds });
        return;
      case 'quarantine':
        this.#disk.quarantined.set(effect.workerId, effect.what);
        return;
      case 'formed':
        observers.formed(
          effect.generation,
          this.#disk.generation,
          effect.members.map(({ workerId }) => workerId),
        );
        this.#incoming = null;
        return;
      case 'aligned':
        observers.aligned(effect.step);
        return;
      case 'setTimer':
        this.host.after(effect.ms, () => this.#handle({ is: 'timer', timer: effect.timer }));
        return;
      case 'stepReport':
        observers.expect(effect.report.step > this.#reported, `step ${effect.report.step} is told once`);
        this.#reported = effect.report.step;
        observers.reported(effect.report);
        return;
      case 'evaluation':
        observers.evaluated(effect.step, effect.parts);
        this.#evaluated(effect.step);
        return;
      case 'statePiece':
        this.#takePiece(effect.piece);
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

  #end(step: number, weightsSha256: string): void {
    this.#writing.add((done) => {
      for (const link of this.#links.values()) link.send({ type: 'done' });
      this.#over();
      done();
      this.simulation.runEnded(step, weightsSha256);
    });
  }

  #fail(code: ErrorCode, message: string): void {
    this.#writing.add((done) => {
      this.#over();
      done();
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
    return { type: 'welcome', runId: 'run', config: '{}', workerId, dataset };
  }

  #sendState({ connection, generation, step }: Extract<CoordinatorEffect, { do: 'sendState' }>): void {
    const state = this.#disk.checkpoints.get(step);
    this.simulation.observers.expect(state !== undefined, `there is a checkpoint of step ${step}`);
    const link = this.#links.get(connection);
    // Read from disk first.
    this.host.after(this.simulation.random.between(0, 20), () =>
      pieces(
        this.host,
        state!,
        generation,
        step,
        (piece) => link?.send(piece) ?? false,
        () => undefined,
      ),
    );
  }

  // --- snapshots become checkpoints

  #takePiece(piece: MessageOf<'statePiece'>): void {
    if (this.#incoming === null || this.#incoming.step !== piece.step) {
      const bytes = new Uint8Array(stateBytes);
      this.#incoming = { step: piece.step, bytes, assembler: new PieceAssembler([{ name: 'state', bytes }]) };
    }
    const snapshot = this.#incoming;
    snapshot.assembler.take(piece.section, piece.offset, piece.bytes);
    if (!snapshot.assembler.isComplete) return;
    this.#incoming = null;
    if (this.simulation.evaluateAfter(snapshot.step) && this.#measured !== snapshot.step)
      this.#held = snapshot;
    else this.#write(snapshot);
  }

  #evaluated(step: number): void {
    this.#measured = step;
    const held = this.#held;
    if (held?.step !== step) return;
    this.#held = null;
    this.#write(held);
  }

  /** Durable some time before it is acknowledged. */
  #write({ step, bytes }: Snapshot): void {
    const { observers, random } = this.simulation;
    this.#writing.add((done) => {
      this.host.after(random.between(0, 30), () => {
        const state = new Float32Array(bytes.slice().buffer);
        this.#disk.checkpoints.set(step, state);
        observers.checkpointWritten(step, state);
        this.host.after(random.between(0, 3), () => {
          observers.checkpointAcknowledged(step);
          this.#handle({ is: 'checkpointed', step });
          done();
        });
      });
    });
  }
}
