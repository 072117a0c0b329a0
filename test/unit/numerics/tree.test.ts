// The tree of every reduction: however the shards are dealt to workers, the schedules build the same tree.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  leaves,
  mergeSchedule,
  shardStart,
  splitOf,
  type TreeNode,
  wholeNodes,
} from '../../../src/numerics/tree.ts';

/** The definition, written out: '((0 1) 2)'. */
function definition(lo: number, hi: number): string {
  if (hi - lo === 1) return String(lo);
  return `(${definition(lo, splitOf(lo, hi))} ${definition(splitOf(lo, hi), hi)})`;
}

/** The stack machine that kernels and workers run, over labels in place of numbers. */
function runSchedule(labels: readonly string[], merges: readonly number[]): string[] {
  const stack: string[] = [];
  labels.forEach((label, i) => {
    stack.push(label);
    for (let merge = 0; merge < merges[i]!; merge += 1) {
      const [left, right] = stack.splice(-2, 2);
      stack.push(`(${left} ${right})`);
    }
  });
  return stack;
}

const partition = fc.integer({ min: 1, max: 40 }).chain((shards) =>
  fc.array(fc.integer({ min: 0, max: shards }), { maxLength: 6 }).map((cuts) => {
    const boundaries = [0, ...cuts.sort((a, b) => a - b), shards];
    return { shards, boundaries };
  }),
);

describe('tree', () => {
  it('splits at the largest power of two below the width', () => {
    expect([splitOf(0, 2), splitOf(0, 3), splitOf(0, 4), splitOf(0, 5), splitOf(3, 12)]).toEqual([
      1, 2, 2, 4, 11,
    ]);
  });

  it('the schedule of all leaves builds the definition', () => {
    for (let shards = 1; shards <= 70; shards += 1) {
      const labels = leaves(0, shards).map((node) => String(node.lo));
      expect(runSchedule(labels, mergeSchedule(leaves(0, shards), shards))).toEqual([definition(0, shards)]);
    }
  });

  it("a worker's schedule leaves its whole nodes", () => {
    fc.assert(
      fc.property(partition, ({ shards, boundaries }) => {
        for (let worker = 0; worker + 1 < boundaries.length; worker += 1) {
          const [lo, hi] = [boundaries[worker]!, boundaries[worker + 1]!];
          const own = leaves(lo, hi);
          const labels = own.map((node) => String(node.lo));
          const expected = wholeNodes(lo, hi, shards).map((node) => definition(node.lo, node.hi));
          expect(runSchedule(labels, mergeSchedule(own, shards))).toEqual(expected);
        }
      }),
    );
  });

  it('the nodes of all workers merge to one node, the same for any partition', () => {
    fc.assert(
      fc.property(partition, ({ shards, boundaries }) => {
        const gathered: TreeNode[] = boundaries
          .slice(1)
          .flatMap((hi, worker) => wholeNodes(boundaries[worker]!, hi, shards));
        const labels = gathered.map((node) => definition(node.lo, node.hi));
        expect(runSchedule(labels, mergeSchedule(gathered, shards))).toEqual([definition(0, shards)]);
      }),
    );
  });

  it('shards cut the rows into ascending slices that differ by one row at most', () => {
    fc.assert(
      fc.property(fc.nat(500), fc.integer({ min: 1, max: 40 }), (rows, shards) => {
        const starts = Array.from({ length: shards + 1 }, (_, shard) => shardStart(shard, rows, shards));
        const sizes = starts.slice(1).map((start, shard) => start - starts[shard]!);
        expect([starts[0], starts[shards]]).toEqual([0, rows]);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
