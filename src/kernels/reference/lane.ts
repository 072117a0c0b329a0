// What every reference kernel is given: the arena, this lane's place in it, the step table, and how to round.
// The twin of c/context.h.

import type { KernelArguments, KernelName } from '../kernel-list.ts';
import type { StepTable } from '../step-table.ts';

export interface Lane {
  readonly floats: Float32Array | Float64Array;
  readonly ints: Int32Array;
  readonly table: StepTable;
  readonly lane: number;
  readonly lanes: number;
  /** Offset in ints of the 64 words in which lanes meet. */
  readonly barrier: number;
  /** To float32, or nothing in the float64 form. Every sum rounds each of its steps. */
  readonly round: (value: number) => number;
}

export type ReferenceKernel<K extends KernelName> = (lane: Lane, args: KernelArguments<K>) => void;

/** A half-open range of rows or elements. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** This lane's rows. */
export function laneRows({ ints, table, lane }: Lane): Range {
  return { from: ints[table.laneRowsOffset + lane]!, to: ints[table.laneRowsOffset + lane + 1]! };
}

/** This lane's part of `count` equal items. */
export function laneShare({ lane, lanes }: Lane, count: number): Range {
  return { from: Math.floor((count * lane) / lanes), to: Math.floor((count * (lane + 1)) / lanes) };
}

/** The rows of own shard `shard`. */
export function shardRows({ ints, table }: Lane, shard: number): Range {
  return { from: ints[table.shardRowsOffset + shard]!, to: ints[table.shardRowsOffset + shard + 1]! };
}

/** The own shard that holds `row`. */
export function shardOf(lane: Lane, row: number): number {
  let shard = 0;
  while (shardRows(lane, shard).to <= row) shard += 1;
  return shard;
}

/** max(x, 0); NaN stays NaN and -0 stays -0. */
export function relu(x: number): number {
  // biome-ignore lint/complexity/useMathMinMax: Math.max would make +0 of -0
  return 0 > x ? 0 : x;
}

/** Where the kernels have one rounding, float32 has two here (float64, then float32): nearly always the same. */
export function multiplyAdd({ round }: Lane, a: number, b: number, c: number): number {
  return round(a * b + c);
}

/** Sum of term(0 .. count-1) by 16 virtual accumulators: the order of every sum within a row or a block. */
export function virtualSum({ round }: Lane, count: number, term: (i: number) => number): number {
  const sums = new Array<number>(16).fill(0);
  for (let i = 0; i < count; i += 1) sums[i % 16] = round(sums[i % 16]! + term(i));
  for (let width = 8; width >= 1; width /= 2)
    for (let j = 0; j < width; j += 1) sums[j] = round(sums[j]! + sums[j + width]!);
  return sums[0]!;
}

/** A long sum: its value is sum + rest. */
export interface LongSum {
  readonly sum: number;
  readonly rest: number;
}

/** The terms of a block of long sums. */
export const longBlock = 64;

/** `count` terms, at most a block, by four accumulators; add(sum, i) = sum + term i. */
export function blockSum({ round }: Lane, count: number, add: (sum: number, i: number) => number): number {
  const sums: [number, number, number, number] = [0, 0, 0, 0];
  for (let i = 0; i < count; i += 1) sums[i % 4] = add(sums[i % 4]!, i);
  return round(round(sums[0] + sums[2]) + round(sums[1] + sums[3]));
}

/** Sum of terms 0 .. count-1 in blocks, which are added with compensation (two-sum: Knuth, volume 2, 4.2.2). */
export function longSum(lane: Lane, count: number, add: (sum: number, i: number) => number): LongSum {
  const { round } = lane;
  const block = (from: number): number =>
    blockSum(lane, Math.min(longBlock, count - from), (sum, i) => add(sum, from + i));
  let sum = block(0);
  let rest = 0;
  for (let from = longBlock; from < count; from += longBlock) {
    const next = block(from);
    const total = round(sum + next);
    const part = round(total - sum);
    rest = round(rest + round(round(sum - round(total - part)) + round(next - part)));
    sum = total;
  }
  return { sum, rest };
}

/** The value of a long sum. */
export function longSumValue(lane: Lane, count: number, add: (sum: number, i: number) => number): number {
  const { sum, rest } = longSum(lane, count, add);
  return lane.round(sum + rest);
}
