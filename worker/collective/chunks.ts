// Who adds which part of a bucket, and in what pieces it travels. A function of the bucket and the world alone; bits do
// not depend on it. Pure.

import type { World } from './world.ts';

/** Floats [from, to) of the flat gradient. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface BucketPlan {
  readonly bucket: Range;
  /** Small: everyone gets all nodes and adds them alone, in one hop. Else each adds a chunk and sends the sum. */
  readonly direct: boolean;
  /** What each rank adds. */
  readonly owned: readonly Range[];
  /** Floats of a piece; the last of a range may be smaller. */
  readonly pieceFloats: number;
}

/** Chunks and pieces start at multiples of this from the bucket's start: whole cache lines. */
const alignment = 16;

export interface ChunkSizes {
  /** Floats of one message: small enough to stay in cache, large enough not to count. */
  readonly pieceFloats: number;
  /** Up to how many bytes received in one hop are better than two hops. */
  readonly directBytesMax: number;
}

export function planBucket(bucket: Range, world: World, sizes: ChunkSizes): BucketPlan {
  const floats = bucket.to - bucket.from;
  const foreignNodes = world.merges.length - Math.min(...world.nodes);
  const direct = foreignNodes * floats * 4 <= sizes.directBytesMax;
  const chunkFloats = Math.ceil(floats / world.size / alignment) * alignment;
  const start = (rank: number): number => Math.min(bucket.to, bucket.from + rank * chunkFloats);
  const owned = Array.from({ length: world.size }, (_, rank) =>
    direct ? bucket : { from: start(rank), to: start(rank + 1) },
  );
  return { bucket, direct, owned, pieceFloats: sizes.pieceFloats };
}

export function pieceCount({ from, to }: Range, pieceFloats: number): number {
  return Math.ceil((to - from) / pieceFloats);
}

export function pieceAt({ from, to }: Range, pieceFloats: number, piece: number): Range {
  const start = from + piece * pieceFloats;
  return { from: start, to: Math.min(to, start + pieceFloats) };
}

/** Index of the piece that starts at `offset`, or -1. */
export function pieceStartingAt({ from, to }: Range, pieceFloats: number, offset: number): number {
  const distance = offset - from;
  return distance >= 0 && offset < to && distance % pieceFloats === 0 ? distance / pieceFloats : -1;
}
