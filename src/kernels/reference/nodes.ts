// The tree over shards as the stack machine of numerics/tree.ts: push a leaf, merge what the schedule says.

import type { Lane } from './lane.ts';

/** Runs a schedule of `count` pushes over numbers, vectors or records; returns what remains. */
function runSchedule<T>(
  { ints }: Lane,
  mergesOffset: number,
  count: number,
  entry: (i: number) => T,
  merge: (left: T, right: T) => T,
): T[] {
  const stack: T[] = [];
  for (let i = 0; i < count; i += 1) {
    let top = entry(i);
    for (let merges = ints[mergesOffset + i]!; merges > 0; merges -= 1) top = merge(stack.pop()!, top);
    stack.push(top);
  }
  return stack;
}

/** The own nodes: leaf(s) of every own shard, merged as far as they go without the other workers. */
export function ownNodes<T>(lane: Lane, leaf: (shard: number) => T, merge: (left: T, right: T) => T): T[] {
  return runSchedule(lane, lane.table.mergesOffset, lane.table.shards, leaf, merge);
}

/** The root: the gathered nodes of all workers, merged. */
export function mergedNodes<T>(lane: Lane, node: (j: number) => T, merge: (left: T, right: T) => T): T {
  const { globalMergesOffset, globalNodes } = lane.table;
  return runSchedule(lane, globalMergesOffset, globalNodes, node, merge)[0]!;
}

/** Writes own nodes of element-wise sums: for every element of this lane's share, leaf(shard, element) in the tree. */
export function writeNodes(
  lane: Lane,
  out: number,
  stride: number,
  range: { readonly from: number; readonly to: number },
  leaf: (shard: number, element: number) => number,
): void {
  const add = (left: number, right: number): number => lane.round(left + right);
  for (let element = range.from; element < range.to; element += 1) {
    const nodes = ownNodes(lane, (shard) => leaf(shard, element), add);
    nodes.forEach((sum, j) => {
      lane.floats[out + j * stride + element] = sum;
    });
  }
}
