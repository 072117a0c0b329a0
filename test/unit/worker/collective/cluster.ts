// Clusters for tests of the collectives: worlds with uneven shares, gradients whose float sums depend on their order,
// the dumb twin that adds them in the tree, and a network in memory that delivers in any order.

import { splitOf, wholeNodes } from '../../../../src/numerics/tree.ts';
import type { ReduceHead, ReduceMessage } from '../../../../worker/collective/all-reduce.ts';
import { AllReduce } from '../../../../worker/collective/all-reduce.ts';
import { copyBytes } from '../../../../worker/collective/arithmetic.ts';
import type { ChunkSizes, Range } from '../../../../worker/collective/chunks.ts';
import { bytesOf } from '../../../../worker/collective/floats.ts';
import { BlockAdder } from '../../../../worker/collective/tree-adder.ts';
import { type World, worldOf } from '../../../../worker/collective/world.ts';

/** A generator of whole numbers 0 .. below-1 for one seed (a xorshift of Marsaglia's). */
export function drawer(seed: number): (below: number) => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Gradient of one shard in one step: sizes of many magnitudes, so that another order of adding shows. */
export function shardGradient(shard: number, step: number, floats: number): Float32Array {
  const draw = drawer(shard * 7919 + step * 104729 + 1);
  return Float32Array.from({ length: floats }, () => (draw(2_000_001) - 1_000_000) * 10 ** (draw(9) - 4));
}

/** node(lo, hi) of the tree, by its definition. */
export function treeSum(lo: number, hi: number, leaf: (shard: number) => Float32Array): Float32Array {
  if (hi - lo === 1) return leaf(lo);
  const split = splitOf(lo, hi);
  const left = treeSum(lo, split, leaf);
  const right = treeSum(split, hi, leaf);
  return left.map((value, i) => Math.fround(value + right[i]!));
}

/** out = left + right of floats that may lie anywhere. */
function addBytes(out: Uint8Array, left: Uint8Array, right: Uint8Array): void {
  const [a, b] = [left, right].map((bytes) => new Float32Array(bytes.slice().buffer));
  out.set(bytesOf(a!.map((value, i) => value + b![i]!)));
}

export interface ClusterOptions {
  /** First shard of every rank, and the number of shards at the end. */
  readonly boundaries: readonly number[];
  readonly buckets: readonly Range[];
  readonly sizes: ChunkSizes;
  readonly startStep?: number;
}

export interface Member {
  readonly world: World;
  readonly machine: AllReduce;
  readonly partials: readonly Float32Array[];
  readonly gradient: Float32Array;
  readonly reduced: string[];
}

export interface InFlight {
  readonly from: number;
  readonly to: number;
  readonly message: ReduceMessage;
}

export const generation = 3;

/** Gives a message to a member whole, or (where the member takes it so) in pieces that end anywhere. */
export function deliver(member: Member, { from, message }: InFlight, draw: (below: number) => number): void {
  const { data, ...head } = message;
  const receiver = draw(2) === 0 ? member.machine.open(from, head as ReduceHead, data.length) : null;
  if (receiver === null) {
    member.machine.receive(from, message);
    return;
  }
  for (let at = 0; at < data.length; ) {
    const end = Math.min(data.length, at + 4 * (1 + draw(20)));
    receiver.write(data.subarray(at, end));
    at = end;
  }
  receiver.end();
}

/** Puts the own nodes of `step` into a member's partials. */
export function fillPartials(member: Member, boundaries: readonly number[], step: number): void {
  const { rank } = member.world;
  const shards = boundaries.at(-1)!;
  const floats = member.gradient.length;
  wholeNodes(boundaries[rank]!, boundaries[rank + 1]!, shards).forEach(({ lo, hi }, node) => {
    member.partials[node]!.set(treeSum(lo, hi, (shard) => shardGradient(shard, step, floats)));
  });
}

export function expectedGradient(boundaries: readonly number[], step: number, floats: number): Float32Array {
  return treeSum(0, boundaries.at(-1)!, (shard) => shardGradient(shard, step, floats));
}

/** The members, what is on its way between them, and what is to be told that bytes have left. */
export function memoryCluster(options: ClusterOptions): {
  members: Member[];
  wire: InFlight[];
  left: (() => void)[];
} {
  const { boundaries, buckets, sizes, startStep = 0 } = options;
  const floats = Math.max(...buckets.map(({ to }) => to));
  const wire: InFlight[] = [];
  const left: (() => void)[] = [];
  const members = Array.from({ length: boundaries.length - 1 }, (_, rank): Member => {
    const world = worldOf(rank, boundaries);
    const partials = Array.from({ length: world.nodes[rank]! }, () => new Float32Array(floats));
    const gradient = new Float32Array(floats);
    const reduced: string[] = [];
    const machine = new AllReduce({
      world,
      generation,
      startStep,
      buckets,
      sizes,
      partials,
      gradient,
      arithmetic: {
        adder: new BlockAdder(world.merges),
        copy: copyBytes,
        release: () => undefined,
        addTwo: addBytes,
      },
      send: (to, head, parts, onLeft) => {
        const data = Uint8Array.from(Buffer.concat(parts));
        wire.push({ from: rank, to, message: { ...head, data } as ReduceMessage });
        if (onLeft) left.push(onLeft);
      },
      onReduced: (step, bucket) => reduced.push(`${step}.${bucket}`),
    });
    return { world, machine, partials, gradient, reduced };
  });
  return { members, wire, left };
}
