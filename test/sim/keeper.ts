// Snapshots that arrive in pieces become checkpoints on the simulated disk, as coordinator/checkpoint-keeper.ts has it: held
// until they are evaluated, one written after another, a newer one in place of one that waits.

import type { MessageOf } from '../../proto/messages.ts';
import { PieceAssembler } from '../../proto/transport/bulk.ts';
import { stepsThatStay } from '../../src/checkpoint/retention.ts';
import type { Host } from './clock.ts';
import type { Disk } from './disk.ts';
import { stateBytes } from './serial.ts';
import type { Simulation } from './simulation.ts';

interface Snapshot {
  readonly step: number;
  readonly bytes: Uint8Array;
  readonly assembler: PieceAssembler;
}

const metricsOf = (loss: number | undefined): { readonly loss?: number } =>
  loss === undefined ? {} : { loss };

interface KeeperHandlers {
  came(step: number, digest: number): void;
  whole(step: number): void;
  written(step: number): void;
  failed(): void;
}

export class Keeper {
  readonly #simulation: Simulation;
  readonly #host: Host;
  readonly #disk: Disk;
  readonly #on: KeeperHandlers;
  /** By step. */
  readonly #losses = new Map<number, number>();
  #incoming: Snapshot | null = null;
  /** The newest that came, until all agree on it. */
  #arrived: Snapshot | null = null;
  /** To be kept, but its evaluation is not whole. */
  #held: Snapshot | null = null;
  /** Wait for the write in flight: the newest, and before it the best. */
  #waiting: readonly Snapshot[] = [];
  #settling: (() => void)[] = [];

  constructor(simulation: Simulation, host: Host, disk: Disk, on: KeeperHandlers) {
    this.#simulation = simulation;
    this.#host = host;
    this.#disk = disk;
    this.#on = on;
    disk.isWriting = false;
  }

  forget(): void {
    const held = this.#held;
    this.#incoming = null;
    this.#arrived = null;
    this.#held = null;
    if (held !== null) this.#enqueue(held);
  }

  measured(step: number, loss: number): void {
    this.#losses.set(step, loss);
    const held = this.#held;
    if (held?.step !== step) return;
    this.#held = null;
    this.#enqueue(held);
  }

  /** `done` when everything that arrived whole is on disk; at once after a failure. */
  settled(done: () => void): void {
    if (this.#disk.isWriting) this.#settling.push(done);
    else done();
  }

  /** What was measured of later steps may be wrong. */
  wentBack(step: number): void {
    for (const measured of this.#losses.keys()) if (measured > step) this.#losses.delete(measured);
  }

  keep(step: number): void {
    const snapshot = this.#arrived;
    if (snapshot?.step !== step) return;
    this.#arrived = null;
    if (this.#simulation.evaluateAfter(step) && !this.#losses.has(step)) this.#held = snapshot;
    else this.#enqueue(snapshot);
  }

  /** Throws ProtocolError where it is out of turn. */
  take(piece: MessageOf<'statePiece'>): void {
    if (this.#incoming === null || this.#incoming.step !== piece.step) {
      const bytes = new Uint8Array(stateBytes);
      this.#incoming = { step: piece.step, bytes, assembler: new PieceAssembler([{ name: 'state', bytes }]) };
    }
    const snapshot = this.#incoming;
    snapshot.assembler.take(piece.section, piece.offset, piece.bytes);
    if (!snapshot.assembler.isComplete) return;
    this.#incoming = null;
    this.#arrived = snapshot;
    this.#on.came(snapshot.step, this.#simulation.digestOf(new Float32Array(snapshot.bytes.slice().buffer)));
  }

  #enqueue(snapshot: Snapshot): void {
    if (this.#held !== null && this.#held.step < snapshot.step) this.#held = null;
    this.#on.whole(snapshot.step);
    const waiting = [...this.#waiting.filter(({ step }) => step !== snapshot.step), snapshot];
    waiting.sort((a, b) => a.step - b.step);
    const judged = waiting.map(({ step }) => ({ step, metrics: metricsOf(this.#losses.get(step)) }));
    const stay = stepsThatStay(judged, waiting.at(-1)!.step, { keep: 1, best: 'loss' });
    this.#waiting = waiting.filter(({ step }) => stay.has(step));
    if (!this.#disk.isWriting) this.#writeNext();
  }

  #writeNext(): void {
    const [next, ...others] = this.#waiting;
    this.#waiting = others;
    this.#disk.isWriting = next !== undefined;
    if (next !== undefined) this.#write(next);
    else for (const done of this.#settling.splice(0)) done();
  }

  #write({ step, bytes }: Snapshot): void {
    const { observers, random, broken } = this.#simulation;
    const state = new Float32Array(bytes.slice().buffer);
    const loss = this.#losses.get(step) ?? Number.NaN;
    observers.checkpointWritten(step, state);
    const left = [...this.#disk.writing(step, state, loss)];
    if (broken === 'acknowledgesBeforeWriting') this.#written(step);
    const access = (): void => {
      if (this.#disk.fails('checkpoint')) {
        this.#disk.isWriting = false;
        this.#on.failed();
        return;
      }
      const act = left.shift();
      if (act === undefined) {
        this.#written(step);
        this.#writeNext();
        return;
      }
      act();
      this.#host.after(this.#disk.slownessMs * random.between(0, 10), access);
    };
    this.#host.after(this.#disk.slownessMs * random.between(0, 10), access);
  }

  #written(step: number): void {
    if (!this.#disk.isDamaged(step)) this.#simulation.observers.checkpointAcknowledged(step);
    this.#on.written(step);
  }
}
