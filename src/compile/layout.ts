// Where the trained tensors lie in their flat vectors, how the gradient is cut into buckets, and how many rows and nodes
// this worker has room for. Buckets and flat vectors depend on the model and the config alone, never on the world.

import type { Assignment, Bucket, TensorLayout } from '../engine/contract.ts';
import { assert } from '../errors.ts';
import type { TensorDeclaration } from '../ir/graph.ts';
import { sizeOf } from '../ir/shapes.ts';
import { shardStart, wholeNodes } from '../numerics/tree.ts';

/** Floats to which every tensor and buffer is aligned: 64 bytes. */
export const alignment = 16;

/** Bytes of a bucket where the config gives none. */
export const bucketBytesDefault = 4 * 1024 * 1024;

export function aligned(size: number): number {
  return Math.ceil(size / alignment) * alignment;
}

/** Tensors one behind the other in a flat vector of `size` floats. */
export function flatLayout(declarations: readonly TensorDeclaration[]): {
  readonly tensors: readonly TensorLayout[];
  readonly size: number;
} {
  let offset = 0;
  const tensors = declarations.map(({ name, shape }) => {
    const tensor = { name, shape, size: sizeOf(shape), offset };
    offset += aligned(tensor.size);
    return tensor;
  });
  return { tensors, size: offset };
}

/**
 * Contiguous ranges of the flat gradient, the last layers' first, each of at most `bucketBytes` unless one parameter alone
 * is larger.
 */
export function bucketsOf(tensors: readonly TensorLayout[], size: number, bucketBytes: number): Bucket[] {
  const buckets: Bucket[] = [];
  let from = size;
  let to = size;
  for (const tensor of tensors.toReversed()) {
    if (from < to && (to - tensor.offset) * 4 > bucketBytes) {
      buckets.push({ from, to });
      to = from;
    }
    from = tensor.offset;
  }
  if (from < to) buckets.push({ from, to });
  return buckets;
}

/** The most rows that shards firstShard .. endShard-1 have in any batch of up to `batch` samples. */
export function rowsMaxOf({ shards, firstShard, endShard }: Assignment, batch: number): number {
  let most = 0;
  // S samples more give each shard one more row, so the last S sizes have the most.
  for (let samples = Math.max(1, batch - shards + 1); samples <= batch; samples += 1) {
    const rows = shardStart(endShard, samples, shards) - shardStart(firstShard, samples, shards);
    if (rows > most) most = rows;
  }
  return most;
}

/** Own nodes of a worker, nodes ahead of them, and nodes of all workers. */
export function nodeCounts(assignment: Assignment): { own: number; before: number; all: number } {
  const { boundaries, shards, firstShard, endShard } = assignment;
  let before = 0;
  let all = 0;
  for (let rank = 0; rank + 1 < boundaries.length; rank += 1) {
    const [lo, hi] = [boundaries[rank]!, boundaries[rank + 1]!];
    const count = wholeNodes(lo, hi, shards).length;
    if (hi <= firstShard) before += count;
    all += count;
  }
  return { own: wholeNodes(firstShard, endShard, shards).length, before, all };
}

export function checkAssignment({ shards, firstShard, endShard, boundaries, lanes }: Assignment): void {
  assert(boundaries[0] === 0 && boundaries.at(-1) === shards, 'the boundaries cover all shards');
  assert(
    boundaries.every((edge, i) => i === 0 || boundaries[i - 1]! <= edge),
    'the boundaries ascend',
  );
  assert(boundaries.some((edge, i) => edge === firstShard && boundaries[i + 1] === endShard),
    'the own shards are one part of the boundaries'); // biome-ignore format: one condition
  assert(lanes >= 1, 'a worker has a lane');
}

/** One worker has everything: no exchanges, no all-reduce. */
export function isAlone(assignment: Assignment): boolean {
  return assignment.boundaries.length === 2;
}
