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
