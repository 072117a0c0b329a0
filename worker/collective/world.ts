// The workers of one generation as the collectives see them: how many nodes of the tree each brings, and how the
// nodes of all are added. Pure.

import { mergeSchedule, wholeNodes } from '../../src/numerics/tree.ts';

export interface World {
  readonly rank: number;
  readonly size: number;
  /** Own nodes of each rank; may be 0. */
  readonly nodes: readonly number[];
  /** Index of each rank's first node among the nodes of all, and their number at the end. */
  readonly nodeStarts: readonly number[];
  /** Merges after each of them (numerics/tree.ts). */
  readonly merges: readonly number[];
  /** Every rank but the own, from the next one on, so that not all write to the same one at once. */
  readonly others: readonly number[];
}

/** `boundaries`: first shard of every rank, and the number of shards at the end. */
export function worldOf(rank: number, boundaries: readonly number[]): World {
  const shards = boundaries.at(-1)!;
  const size = boundaries.length - 1;
  const ofRanks = Array.from({ length: size }, (_, r) =>
    wholeNodes(boundaries[r]!, boundaries[r + 1]!, shards),
  );
  const nodes = ofRanks.map(({ length }) => length);
  const nodeStarts = [0];
  for (const count of nodes) nodeStarts.push(nodeStarts.at(-1)! + count);
  return {
    rank,
    size,
    nodes,
    nodeStarts,
    merges: mergeSchedule(ofRanks.flat(), shards),
    others: Array.from({ length: size - 1 }, (_, i) => (rank + 1 + i) % size),
  };
}
