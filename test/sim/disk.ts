// The disk of a simulated coordinator: what a crash leaves. A journal's newest generation, and checkpoints as two files each,
// data and its sidecar, in the order in which src/checkpoint/store.ts writes them. Faults are drawn by the coordinator.

import type { CoordinatorEffect } from '../../coordinator/effects.ts';
import type { Numerics } from '../../coordinator/run-identity.ts';
import { stepsThatStay } from '../../src/checkpoint/retention.ts';
import { hashOf } from './arithmetic.ts';
import type { Random } from './clock.ts';

interface Sidecar {
  readonly hash: string;
  /** Of the data that it takes the place of: either is good. */
  readonly replaces?: string;
  readonly loss: number;
  readonly isDamaged: boolean;
}

/** Where the next access to the disk goes wrong: EIO, or no space left. */
export type DiskFault = 'journal' | 'checkpoint';

export class Disk {
  /** What the whole lines of the journal say: the newest generation, who was in it, with which kernels. */
  generation = 0;
  members: readonly string[] = [];
  replayTo: number | null = null;
  numerics: Numerics | null = null;
  /** How long one access takes, in milliseconds. */
  slownessMs = 1;
  readonly keep: number;
  /** A checkpoint is being written: what it replaces may be about to go. */
  isWriting = false;
  /** A step for each read in flight of the living coordinator. */
  inUse: number[] = [];
  readonly #data = new Map<number, Float32Array>();
  readonly #sidecars = new Map<number, Sidecar>();
  /** Since they were written. */
  readonly #damaged = new Set<number>();
  #fault: DiskFault | null = null;

  constructor(keep: number) {
    this.keep = keep;
  }

  /** A line of the journal. */
  append(line: Extract<CoordinatorEffect, { do: 'journal' }>): void {
    this.generation = line.generation;
    this.members = line.workerIds;
    this.replayTo = line.replayTo;
    this.numerics ??= line.numerics;
  }

  failNext(fault: DiskFault): void {
    this.#fault = fault;
  }

  /** True once for each failure that was asked for. */
  fails(fault: DiskFault): boolean {
    if (this.#fault !== fault) return false;
    this.#fault = null;
    return true;
  }

  heal(): void {
    this.#fault = null;
    this.slownessMs = 1;
  }

  /** What is to be done for one checkpoint, in order; each is done whole or not at all, and a crash may come in between. */
  writing(step: number, state: Float32Array, loss: number): readonly (() => void)[] {
    const sidecar: Sidecar = { hash: hashOf(state), loss, isDamaged: false };
    const before = this.read(step);
    const announce = (): void => {
      this.#sidecars.set(step, { ...sidecar, replaces: hashOf(before!) });
    };
    return [
      ...(before === null ? [] : [announce]),
      () => this.#data.set(step, state.slice()),
      () => {
        this.#sidecars.set(step, sidecar);
        this.#damaged.delete(step);
      },
      () => this.#prune(step),
    ];
  }

  /** The state of a finished checkpoint that verifies; null where there is none of this step. */
  read(step: number): Float32Array | null {
    const data = this.#data.get(step);
    const sidecar = this.#sidecars.get(step);
    if (data === undefined || sidecar === undefined || sidecar.isDamaged) return null;
    return [sidecar.hash, sidecar.replaces].includes(hashOf(data)) ? data : null;
  }

  /** Steps of the checkpoints that verify, newest first. */
  get good(): readonly number[] {
    return [...this.#data.keys()].filter((step) => this.read(step) !== null).sort((a, b) => b - a);
  }

  get newest(): number | null {
    return this.good[0] ?? null;
  }

  isDamaged(step: number): boolean {
    return this.#damaged.has(step);
  }

  /** Some bit of the newest checkpoint is wrong from now on; only where there is an older one. False where there is none. */
  damage(random: Random): boolean {
    const [step, older] = this.good;
    if (step === undefined || older === undefined || this.isWriting) return false;
    this.#damaged.add(step);
    if (random.chance(0.5)) {
      this.#sidecars.set(step, { ...this.#sidecars.get(step)!, isDamaged: true });
    } else {
      const data = this.#data.get(step)!.slice();
      new Uint32Array(data.buffer)[random.below(data.length)]! ^= 1 << random.below(32);
      this.#data.set(step, data);
    }
    return true;
  }

  #prune(newest: number): void {
    const finished = [...this.#sidecars]
      .filter(([step, { isDamaged }]) => this.#data.has(step) && !isDamaged)
      .map(([step, { loss }]) => ({ step, metrics: Number.isFinite(loss) ? { loss } : {} }));
    const stay = stepsThatStay(finished, newest, { keep: this.keep, best: 'loss', inUse: this.inUse });
    for (const step of [...this.#data.keys()].filter((each) => !stay.has(each))) {
      this.#sidecars.delete(step);
      this.#data.delete(step);
    }
  }
}
