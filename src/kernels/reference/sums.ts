// Plain sums over shards: vectors in the tree, and the reported numbers of a step.

import { resultsHeader } from '../step-table.ts';
import { laneShare, type ReferenceKernel, shardRows } from './lane.ts';
import { mergedNodes, ownNodes } from './nodes.ts';

export const sumNodes: ReferenceKernel<'sumNodes'> = (lane, a) => {
  const { floats, round, table } = lane;
  const share = laneShare(lane, a.count);
  const first = a.gathered === 1 ? table.nodeStart : 0;
  for (let column = share.from; column < share.to; column += 1) {
    const leaf = (shard: number): number =>
      floats[a.leaves + (table.firstShard + shard) * a.columns + a.from + column]!;
    ownNodes(lane, leaf, (left, right) => round(left + right)).forEach((sum, j) => {
      floats[a.out + (first + j) * a.stride + column] = sum;
    });
  }
};

export const sumMerge: ReferenceKernel<'sumMerge'> = (lane, a) => {
  const { floats, round } = lane;
  const share = laneShare(lane, a.count);
  for (let column = share.from; column < share.to; column += 1) {
    const node = (j: number): number => floats[a.nodes + j * a.stride + column]!;
    floats[a.out + column] = mergedNodes(lane, node, (left, right) => round(left + right));
  }
};

/** In float64; the store rounds. */
export const shardSums: ReferenceKernel<'shardSums'> = (lane, a) => {
  const { floats, table } = lane;
  if (lane.lane !== 0) return;
  for (let shard = 0; shard < table.shards; shard += 1) {
    const { from, to } = shardRows(lane, shard);
    let sum = 0;
    for (let row = from; row < to; row += 1) sum += floats[a.x + row]!;
    floats[table.resultsOffset + resultsHeader + (table.firstShard + shard) * a.metrics + a.metric] = sum;
  }
};
