// The fixed binary tree over shard indices in which everything is reduced, and the slices it reduces.
// Pure arithmetic; which machine adds which node is decided elsewhere and can never change a bit.

/** A node of the tree: the shards lo .. hi-1. */
export interface TreeNode {
  readonly lo: number;
  readonly hi: number;
}

/** First row of shard `shard` when `rows` rows are cut into `shards` slices; shard = shards gives the end. */
export function shardStart(shard: number, rows: number, shards: number): number {
  return Math.floor((shard * rows) / shards);
}

/** First shard of each of `workers` workers, and `shards` at the end: contiguous, as even as can be. */
export function shardBoundaries(workers: number, shards: number): number[] {
  return Array.from({ length: workers + 1 }, (_, rank) => shardStart(rank, shards, workers));
}

/** Where node(lo, hi) splits: lo + the largest power of two below hi - lo. */
export function splitOf(lo: number, hi: number): number {
  let half = 1;
  while (half * 2 < hi - lo) half *= 2;
  return lo + half;
}

/** The nodes of the tree over 0 .. shards-1 that lie whole inside lo .. hi-1, in ascending order. */
export function wholeNodes(lo: number, hi: number, shards: number): TreeNode[] {
  const nodes: TreeNode[] = [];
  const visit = (nodeLo: number, nodeHi: number): void => {
    if (nodeHi <= lo || nodeLo >= hi) return;
    if (nodeLo >= lo && nodeHi <= hi) {
      nodes.push({ lo: nodeLo, hi: nodeHi });
      return;
    }
    const split = splitOf(nodeLo, nodeHi);
    visit(nodeLo, split);
    visit(split, nodeHi);
  };
  if (hi > lo) visit(0, shards);
  return nodes;
}

/**
 * The tree as a stack machine: after pushing node i, combine the two topmost entries `merges[i]` times.
 * `nodes` are consecutive nodes of the tree over `shards` shards; what remains on the stack are the whole
 * nodes of their union, in ascending order.
 */
export function mergeSchedule(nodes: readonly TreeNode[], shards: number): number[] {
  const siblings = new Set<string>();
  const visit = (lo: number, hi: number): void => {
    if (hi - lo < 2) return;
    const split = splitOf(lo, hi);
    siblings.add(`${lo},${split},${hi}`);
    visit(lo, split);
    visit(split, hi);
  };
  visit(0, shards);
  const stack: TreeNode[] = [];
  return nodes.map((node) => {
    stack.push(node);
    let merges = 0;
    for (;;) {
      const right = stack.at(-1);
      const left = stack.at(-2);
      if (!left || !right || !siblings.has(`${left.lo},${right.lo},${right.hi}`) || left.hi !== right.lo)
        break;
      stack.splice(-2, 2, { lo: left.lo, hi: right.hi });
      merges += 1;
    }
    return merges;
  });
}

/** The single shards lo .. hi-1 as nodes. */
export function leaves(lo: number, hi: number): TreeNode[] {
  return Array.from({ length: hi - lo }, (_, i) => ({ lo: lo + i, hi: lo + i + 1 }));
}
