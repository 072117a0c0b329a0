// All-reduce of gradient buckets over a full mesh, as a machine without sockets: own nodes become ready, messages come in
// and go out. The owner of a chunk gets the others' nodes of it piece by piece, adds a piece in the fixed tree as soon as
// all its nodes are here, and sends the sum to all; nothing depends on the order of arrival. What is sent is the arena's
// memory, not a copy: a worker begins a bucket's next round only when it has this one's sums, and nobody can send a sum
// before it has received what it is made of. Where nothing that comes back shows that it has arrived, a bucket waits
// until its bytes have left (direct buckets), or they are copied (sums for workers without nodes).

import { ProtocolError } from '../../proto/error.ts';
import type { MessageOf } from '../../proto/messages.ts';
import type { TensorReceiver } from '../../proto/transport/tensor-tap.ts';
import { assert } from '../../src/errors.ts';
import type { Arithmetic } from './arithmetic.ts';
import {
  type BucketPlan,
  type ChunkSizes,
  pieceAt,
  pieceCount,
  pieceStartingAt,
  planBucket,
  type Range,
} from './chunks.ts';
import { alignedFloats, bytesOf, equalBytes, FloatPool } from './floats.ts';
import { refuseReplay } from './replay.ts';
import { Round } from './round.ts';
import type { World } from './world.ts';

export type ReduceMessage = MessageOf<'partial'> | MessageOf<'sum'>;
export type ReduceHead = Omit<MessageOf<'partial'>, 'data'> | Omit<MessageOf<'sum'>, 'data'>;

export interface AllReduceOptions {
  readonly world: World;
  readonly generation: number;
  /** Steps committed so far; the first to be reduced is the next. */
  readonly startStep: number;
  readonly buckets: readonly Range[];
  readonly sizes: ChunkSizes;
  /** Own node j of the whole flat gradient. */
  readonly partials: readonly Float32Array[];
  readonly gradient: Float32Array;
  readonly arithmetic: Arithmetic;
  /** Data is the concatenation of `parts`; `onLeft` is called when they may change. */
  send(rank: number, head: ReduceHead, parts: readonly Uint8Array[], onLeft?: () => void): void;
  onReduced(step: number, bucket: number): void;
}

interface BucketState {
  readonly plan: BucketPlan;
  /** Last step that was reduced. */
  done: number;
  /** Of odd and even steps: a peer can be one step ahead, not two. */
  readonly rounds: readonly [Round, Round];
}

export class AllReduce {
  readonly #options: AllReduceOptions;
  readonly #buckets: readonly BucketState[];
  readonly #pool = new FloatPool();
  /** Ranks whose nodes a piece waits for: those that have any, and the own readiness. */
  readonly #contributors: number;

  constructor(options: AllReduceOptions) {
    const { world, buckets, sizes, startStep } = options;
    this.#options = options;
    this.#buckets = buckets.map((bucket) => {
      const plan = planBucket(bucket, world, sizes);
      return { plan, done: startStep, rounds: [new Round(plan, world), new Round(plan, world)] };
    });
    this.#contributors = 1 + world.others.filter((rank) => world.nodes[rank]! > 0).length;
  }

  /** The own nodes of this bucket are complete, and the gradient may be written. */
  ready(step: number, bucket: number): void {
    const round = this.#round(bucket, step);
    assert(round !== null && !round.ownReady, `bucket ${bucket} of step ${step} becomes ready once`);
    round.ownReady = true;
    const { plan } = this.#buckets[bucket]!;
    this.#sendPartials(round, plan, bucket);
    for (const { rank, message } of round.early) this.#writeSum(plan.owned[rank]!, message);
    round.early.length = 0;
    for (let piece = 0; piece < round.missing.length; piece++) this.#arrived(round, bucket, piece);
    this.#finishIfWhole(round, bucket);
  }

  /** A message of a peer. Throws ProtocolError when it does not fit the plan. */
  receive(rank: number, message: ReduceMessage): void {
    if (message.generation !== this.#options.generation) return;
    const round = this.#round(message.bucket, message.step);
    if (round === null) return;
    if (message.type === 'partial') this.#receivePartial(round, rank, message);
    else this.#receiveSum(round, rank, message);
  }

  /** Who takes the tensor of this message while it comes; null where it has to come whole. Throws as receive does. */
  open(rank: number, head: ReduceHead, dataBytes: number): TensorReceiver | null {
    if (head.generation !== this.#options.generation) return null;
    const round = this.#round(head.bucket, head.step);
    if (round === null) return null;
    return head.type === 'partial'
      ? this.#openPartial(round, rank, head, dataBytes)
      : this.#openSum(round, rank, head, dataBytes);
  }

  /** A sum is written to its place at once. */
  #openSum(round: Round, rank: number, head: ReduceHead, dataBytes: number): TensorReceiver | null {
    const { gradient, arithmetic } = this.#options;
    const { plan } = this.#buckets[head.bucket]!;
    const seen = round.sumsSeen[rank]!;
    const piece = seen.length === 0 ? -1 : this.#pieceOf(plan, rank, head, dataBytes, 1);
    if (piece < 0 || seen[piece] === 1 || !round.ownReady) return null;
    const place = bytesOf(gradient.subarray(head.offset, head.offset + dataBytes / 4));
    let at = 0;
    return {
      write: (bytes) => {
        arithmetic.copy(place.subarray(at, at + bytes.length), bytes);
        at += bytes.length;
      },
      end: () => {
        seen[piece] = 1;
        round.sumsLeft -= 1;
        this.#finishIfWhole(round, head.bucket);
      },
    };
  }

  /** Nodes wait in a vector of their own until all are here; the last one of two is added at once. */
  #openPartial(round: Round, rank: number, head: ReduceHead, dataBytes: number): TensorReceiver | null {
    const { world, partials, gradient, arithmetic } = this.#options;
    const { plan } = this.#buckets[head.bucket]!;
    const piece = this.#pieceOf(plan, world.rank, head, dataBytes, world.nodes[rank]!);
    const place = piece * world.size + rank;
    if (round.missing[piece] === 0 || round.received[place]) return null;
    const isPair = world.merges.length === 2 && partials.length === 1;
    const addTwo = isPair && round.ownReady ? arithmetic.addTwo : undefined;
    let at = 0;
    if (addTwo !== undefined) {
      const own = bytesOf(partials[0]!.subarray(head.offset, head.offset + dataBytes / 4));
      const sum = bytesOf(gradient.subarray(head.offset, head.offset + dataBytes / 4));
      return {
        write: (bytes) => {
          const ours = own.subarray(at, at + bytes.length);
          const out = sum.subarray(at, at + bytes.length);
          if (rank > world.rank) addTwo(out, ours, bytes);
          else addTwo(out, bytes, ours);
          at += bytes.length;
        },
        end: () => {
          round.missing[piece] = 0;
          this.#added(round, head.bucket, piece);
          this.#finishIfWhole(round, head.bucket);
        },
      };
    }
    const nodes = this.#pool.take(dataBytes / 4);
    const staged = bytesOf(nodes);
    return {
      write: (bytes) => {
        arithmetic.copy(staged.subarray(at, at + bytes.length), bytes);
        at += bytes.length;
      },
      end: () => {
        round.received[place] = nodes;
        this.#arrived(round, head.bucket, piece);
        this.#finishIfWhole(round, head.bucket);
      },
    };
  }

  /**
   * Ranks that keep this step waiting: those whose nodes are missing for buckets that are ready here, else those whose sums
   * are, which may themselves be waiting for another.
   */
  missing(step: number): { readonly partials: ReadonlySet<number>; readonly sums: ReadonlySet<number> } {
    const { world } = this.#options;
    const partials = new Set<number>();
    const sums = new Set<number>();
    for (const { rounds, done } of this.#buckets) {
      const round = rounds[(step & 1) as 0 | 1];
      if (done >= step || round.step !== step || !round.ownReady) continue;
      for (const rank of world.others) {
        const awaited = (_: number, piece: number): boolean =>
          round.missing[piece]! > 0 && round.received[piece * world.size + rank] === null;
        if (world.nodes[rank]! > 0 && round.missing.some(awaited)) partials.add(rank);
        if (round.sumsSeen[rank]!.includes(0)) sums.add(rank);
      }
    }
    return { partials, sums };
  }

  /** The round in flight of this step; null when it is over. */
  #round(bucket: number, step: number): Round | null {
    const state = this.#buckets[bucket];
    if (state === undefined) throw new ProtocolError('unexpected', `there is no bucket ${bucket}`);
    refuseReplay(step, state.done);
    if (step <= state.done) return null;
    if (step > state.done + 2)
      throw new ProtocolError(
        'overflow',
        `a message of step ${step} while step ${state.done + 1} is in flight`,
      );
    const round = state.rounds[(step & 1) as 0 | 1];
    if (round.step !== step) round.begin(step, this.#contributors);
    return round;
  }

  #sendPartials(round: Round, plan: BucketPlan, bucket: number): void {
    const { world, generation, partials, send } = this.#options;
    if (partials.length === 0) return;
    const { step } = round;
    const { pieceFloats, owned, direct } = plan;
    const left = (): void => {
      round.leaving -= 1;
      this.#finishIfWhole(round, bucket);
    };
    const pieces = Math.max(0, ...world.others.map((rank) => pieceCount(owned[rank]!, pieceFloats)));
    for (let piece = 0; piece < pieces; piece++) {
      for (const rank of world.others) {
        const { from, to } = pieceAt(owned[rank]!, pieceFloats, piece);
        if (from >= to) continue;
        const parts = partials.map((node) => bytesOf(node.subarray(from, to)));
        // What was sent before has left when the last has.
        const isLast = direct && piece === pieces - 1;
        if (isLast) round.leaving += 1;
        send(
          rank,
          { type: 'partial', generation, step, bucket, offset: from },
          parts,
          isLast ? left : undefined,
        );
      }
    }
  }

  #receivePartial(round: Round, rank: number, message: MessageOf<'partial'>): void {
    const { world } = this.#options;
    const { plan } = this.#buckets[message.bucket]!;
    const piece = this.#pieceOf(plan, world.rank, message, message.data.length, world.nodes[rank]!);
    if (round.missing[piece] === 0) return;
    const place = piece * world.size + rank;
    const before = round.received[place];
    if (before) {
      refuseUnlessEqual(bytesOf(before), message);
      return;
    }
    round.received[place] = alignedFloats(message.data);
    this.#arrived(round, message.bucket, piece);
    this.#finishIfWhole(round, message.bucket);
  }

  #receiveSum(round: Round, rank: number, message: MessageOf<'sum'>): void {
    const { plan } = this.#buckets[message.bucket]!;
    const seen = round.sumsSeen[rank]!;
    if (seen.length === 0) throw new ProtocolError('unexpected', `rank ${rank} has no sums to send`);
    const piece = this.#pieceOf(plan, rank, message, message.data.length, 1);
    if (seen[piece] === 1) {
      const { from, to } = pieceAt(plan.owned[rank]!, plan.pieceFloats, piece);
      const held = round.early.find(
        (early) => early.rank === rank && early.message.offset === message.offset,
      );
      refuseUnlessEqual(held?.message.data ?? bytesOf(this.#options.gradient.subarray(from, to)), message);
      return;
    }
    seen[piece] = 1;
    round.sumsLeft -= 1;
    if (round.ownReady) this.#writeSum(plan.owned[rank]!, message);
    else round.early.push({ rank, message });
    this.#finishIfWhole(round, message.bucket);
  }

  /** The piece that a message is about, of what `owner` adds; its size must be `nodes` times the piece's. */
  #pieceOf(plan: BucketPlan, owner: number, head: ReduceHead, dataBytes: number, nodes: number): number {
    const range = plan.owned[owner]!;
    const piece = pieceStartingAt(range, plan.pieceFloats, head.offset);
    if (piece < 0) throw new ProtocolError('unexpected', `a ${head.type} at offset ${head.offset}`);
    const { from, to } = pieceAt(range, plan.pieceFloats, piece);
    const expected = (to - from) * nodes * 4;
    if (nodes === 0 || dataBytes !== expected)
      throw new ProtocolError('size', `a ${head.type} of ${dataBytes} bytes where ${expected} belong`);
    return piece;
  }

  #writeSum({ from, to }: Range, message: MessageOf<'sum'>): void {
    assert(message.offset >= from && message.offset < to, 'a sum lies in its chunk');
    const { gradient, arithmetic } = this.#options;
    const place = gradient.subarray(message.offset, message.offset + message.data.length / 4);
    arithmetic.copy(bytesOf(place), message.data);
  }

  /** One more contributor of an own piece is there; adds the piece when it was the last. */
  #arrived(round: Round, bucket: number, piece: number): void {
    round.missing[piece]! -= 1;
    if (round.missing[piece] !== 0) return;
    const { world, gradient, partials, arithmetic } = this.#options;
    const { plan } = this.#buckets[bucket]!;
    const { from, to } = pieceAt(plan.owned[world.rank]!, plan.pieceFloats, piece);
    const sources: Float32Array[] = [];
    const taken: Float32Array[] = [];
    for (let rank = 0; rank < world.size; rank++) {
      const received = round.received[piece * world.size + rank];
      round.received[piece * world.size + rank] = null;
      if (rank === world.rank) for (const node of partials) sources.push(node.subarray(from, to));
      else
        for (let node = 0; node < world.nodes[rank]!; node++)
          sources.push(received!.subarray(node * (to - from), (node + 1) * (to - from)));
      if (received) taken.push(received);
    }
    arithmetic.adder.add(gradient.subarray(from, to), sources);
    for (const floats of taken) this.#pool.give(floats);
    this.#added(round, bucket, piece);
  }

  /** An own piece of the gradient is whole: the others get it. */
  #added(round: Round, bucket: number, piece: number): void {
    const { world, generation, gradient, send } = this.#options;
    const { plan } = this.#buckets[bucket]!;
    const { from, to } = pieceAt(plan.owned[world.rank]!, plan.pieceFloats, piece);
    const sum = gradient.subarray(from, to);
    round.piecesLeft -= 1;
    if (plan.direct) return;
    const parts = [bytesOf(sum)];
    for (const rank of world.others) {
      const kept = world.nodes[rank] === 0 ? [parts[0]!.slice()] : parts;
      send(rank, { type: 'sum', generation, step: round.step, bucket, offset: from }, kept);
    }
  }

  #finishIfWhole(round: Round, bucket: number): void {
    const state = this.#buckets[bucket]!;
    const isOpen = round.piecesLeft > 0 || round.sumsLeft > 0 || round.leaving > 0;
    if (!round.ownReady || isOpen || round.step <= state.done) return;
    state.done = round.step;
    this.#options.onReduced(round.step, bucket);
  }
}

function refuseUnlessEqual(before: Uint8Array, { type, step, bucket, offset, data }: ReduceMessage): void {
  if (!equalBytes(before, data))
    throw new ProtocolError(
      'conflict',
      `two unlike ${type}s of step ${step}, bucket ${bucket}, offset ${offset}`,
    );
}
