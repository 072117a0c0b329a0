// Losses and metrics of a batch from the sums of its shards, added in the fixed tree: the same numbers whoever adds.

import { assert } from '../errors.ts';
import { splitOf } from '../numerics/tree.ts';

/** Sums over the whole batch, one a report; `sums` is [shards][reports]. Every addition is rounded to float32. */
export function totalReports(sums: Float32Array, shards: number): number[] {
  const reports = sums.length / shards;
  assert(Number.isInteger(reports), 'the sums are [shards][reports]');
  const total = (report: number, lo: number, hi: number): number => {
    if (hi - lo === 1) return sums[lo * reports + report]!;
    const split = splitOf(lo, hi);
    return Math.fround(total(report, lo, split) + total(report, split, hi));
  };
  return Array.from({ length: reports }, (_, report) => total(report, 0, shards));
}

/** Means over the samples, by the reports' names. */
export function meanReports(
  sums: Float32Array,
  shards: number,
  samples: number,
  names: readonly string[],
): Record<string, number> {
  const totals = totalReports(sums, shards);
  return Object.fromEntries(names.map((name, report) => [name, totals[report]! / samples]));
}

/** The first shard whose loss is not finite, or null. */
export function shardNotFinite(sums: Float32Array, shards: number): number | null {
  const reports = sums.length / shards;
  for (let shard = 0; shard < shards; shard += 1) {
    if (!Number.isFinite(sums[shard * reports]!)) return shard;
  }
  return null;
}
