// A small all-to-all swap, keyed (step, id), as a machine without sockets: everyone sends its part to everyone, in one
// hop. Parts of others may come before the own one is there (they are held, within limits) and in any order.

import { ProtocolError } from '../../proto/error.ts';
import { limits } from '../../proto/limits.ts';
import { assert } from '../../src/errors.ts';
import { equalBytes } from './floats.ts';
import { refuseReplay } from './replay.ts';
import type { World } from './world.ts';

/** What travels: bytes, and a word of flags. */
export interface SwapPart {
  readonly data: Uint8Array;
  readonly flags: number;
}

export interface SwapOptions {
  readonly world: World;
  /** How many swaps of a step there are; ids count from 0. */
  readonly count: number;
  /** Steps committed so far. */
  readonly startStep: number;
  /** Bytes that `rank` has to send. */
  bytesOf(rank: number, id: number): number;
  send(rank: number, step: number, id: number, part: SwapPart): void;
  /** A part of another; only after the own one was given, and before onSwapped. */
  onPart(rank: number, step: number, id: number, part: SwapPart): void;
  onSwapped(step: number, id: number): void;
}

interface Slot {
  begun: boolean;
  left: number;
  readonly parts: (SwapPart | null)[];
}

/** Ids are below this, so that step and id make one number. */
const idsMax = limits.exchangesMax + 1;

export class Swap {
  readonly #options: SwapOptions;
  readonly #slots = new Map<number, Slot>();
  /** Last step of each id that is over. */
  readonly #done: number[];
  /** What is held of each rank. */
  readonly #earlyBytes: number[];
  readonly #earlyParts: number[];

  constructor(options: SwapOptions) {
    assert(options.count <= idsMax, `${options.count} swaps in a step are at most ${idsMax}`);
    this.#options = options;
    this.#done = new Array<number>(options.count).fill(options.startStep);
    this.#earlyBytes = new Array<number>(options.world.size).fill(0);
    this.#earlyParts = new Array<number>(options.world.size).fill(0);
  }

  /** Gives the own part. It is not copied here. */
  begin(step: number, id: number, part: SwapPart): void {
    const { world, send, onPart } = this.#options;
    const slot = this.#slot(step, id);
    assert(!slot.begun && step > this.#done[id]!, `swap ${id} of step ${step} begins once`);
    assert(
      part.data.length === this.#options.bytesOf(world.rank, id),
      `the own part of swap ${id} has its size`,
    );
    slot.begun = true;
    for (const rank of world.others) send(rank, step, id, part);
    slot.parts.forEach((early, rank) => {
      if (early === null) return;
      this.#earlyBytes[rank]! -= early.data.length;
      this.#earlyParts[rank]! -= 1;
      onPart(rank, step, id, early);
    });
    this.#finishIfComplete(slot, step, id);
  }

  /** A part of a peer. Throws ProtocolError when it does not fit. */
  receive(rank: number, step: number, id: number, part: SwapPart): void {
    const done = this.#done[id];
    if (done === undefined) throw new ProtocolError('unexpected', `there is no swap ${id}`);
    refuseReplay(step, done);
    if (step <= done) return;
    if (step > done + 2)
      throw new ProtocolError('overflow', `a part of step ${step} while step ${done + 1} is in flight`);
    const bytes = this.#options.bytesOf(rank, id);
    if (part.data.length !== bytes)
      throw new ProtocolError('size', `${part.data.length} bytes in swap ${id} where ${bytes} belong`);
    const slot = this.#slot(step, id);
    const before = slot.parts[rank];
    if (before) {
      if (before.flags !== part.flags || !equalBytes(before.data, part.data))
        throw new ProtocolError('conflict', `two unlike parts of rank ${rank} in swap ${id} of step ${step}`);
      return;
    }
    if (!slot.begun) this.#hold(rank, bytes);
    slot.parts[rank] = part;
    slot.left -= 1;
    if (slot.begun) this.#options.onPart(rank, step, id, part);
    this.#finishIfComplete(slot, step, id);
  }

  /** Ranks whose part is missing in a swap of this step that has begun here. */
  missing(step: number): ReadonlySet<number> {
    const ranks = new Set<number>();
    this.#done.forEach((_, id) => {
      const slot = this.#slots.get(step * idsMax + id);
      if (slot?.begun !== true) return;
      for (const rank of this.#options.world.others) if (slot.parts[rank] === null) ranks.add(rank);
    });
    return ranks;
  }

  #hold(rank: number, bytes: number): void {
    this.#earlyBytes[rank]! += bytes;
    this.#earlyParts[rank]! += 1;
    if (this.#earlyBytes[rank]! > limits.earlyBytesMax || this.#earlyParts[rank]! > limits.earlyMessagesMax)
      throw new ProtocolError('overflow', `rank ${rank} is too far ahead`);
  }

  #slot(step: number, id: number): Slot {
    const key = step * idsMax + id;
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      const { size } = this.#options.world;
      slot = { begun: false, left: size - 1, parts: new Array<SwapPart | null>(size).fill(null) };
      this.#slots.set(key, slot);
    }
    return slot;
  }

  #finishIfComplete(slot: Slot, step: number, id: number): void {
    if (!slot.begun || slot.left > 0) return;
    this.#slots.delete(step * idsMax + id);
    this.#done[id] = step;
    this.#options.onSwapped(step, id);
  }
}
