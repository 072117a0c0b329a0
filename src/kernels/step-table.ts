// The step table: what changes from step to step, in int32 words in the arena, read by every kernel.
// Written by the worker's main thread before a step; the schedule's scalars are float32 by their bits.

import { bitsFloat, floatBits } from './kernel-list.ts';

/** Fixed fields, by word. `...Offset` fields are arena offsets in elements of int32 (or of floats: results). */
export const stepTableFields = [
  'rows', // samples of this worker in this step
  'shards', // own shards
  'firstShard', // index of the first own shard
  'nodes', // whole nodes of the own shards
  'nodeStart', // index of the first own node among the gathered nodes of all workers
  'globalNodes', // gathered nodes of all workers
  'step', // number of this step, from 1 (uint32)
  'seed', // the run's seed (uint32)
  'inverseWeight', // float: 1 / samples of the global batch
  'learningRate', // float
  'biasCorrection1', // float: 1 - beta1^step
  'biasCorrection2', // float: 1 - beta2^step
  'laneRowsOffset', // [lanes + 1] first row of each lane
  'shardRowsOffset', // [shards + 1] first row of each own shard
  'mergesOffset', // [shards] merges after each own leaf
  'globalMergesOffset', // [globalNodes] merges after each gathered node
  'sampleIdsOffset', // [rows] global sample ids
  'resultsOffset', // floats: [gradient norm, 7 unused][shards of the run][metrics]
] as const;

export type StepTableField = (typeof stepTableFields)[number];

/** Floats ahead of the shard sums in the results of a step. */
export const resultsHeader = 8;

/** The arena's header, by word: how a kernel finds the lanes' common ground. */
export const arenaHeaderFields = [
  'lanes',
  'scratchOffset', // floats: lane l's scratch starts at scratchOffset + l * scratchSize (64-byte aligned)
  'scratchSize', // floats
  'barrierOffset', // 64 words: the barrier's own
] as const;

export const arenaHeaderSize = 64;

/** Word of the barrier's own that, once not 0, lets every lane through for good: a lane has failed, and what the others
    compute no longer matters, but they must come back. */
export const barrierAbortWord = 48;

/** The fields that are float32 by their bits. */
export const stepTableFloatFields: ReadonlySet<StepTableField> = new Set<StepTableField>([
  'inverseWeight',
  'learningRate',
  'biasCorrection1',
  'biasCorrection2',
]);

/**
 * First row of each lane, and the end. Rows are independent in every kernel that is divided by rows, so that lanes need
 * not get whole shards: three lanes share eight shards evenly, two lanes share one.
 */
export function laneRowsOf(rows: number, lanes: number): number[] {
  return Array.from({ length: lanes + 1 }, (_, lane) => Math.floor((rows * lane) / lanes));
}

export type StepTable = Readonly<Record<StepTableField, number>>;

/** The words of a table; scalars given as numbers are rounded to float32. */
export function encodeStepTable(table: StepTable): Int32Array {
  return Int32Array.from(stepTableFields, (field) =>
    stepTableFloatFields.has(field) ? floatBits(table[field]) : table[field] | 0,
  );
}

/** The table at `offset` of the arena's ints, scalars as numbers. */
export function decodeStepTable(ints: Int32Array, offset: number): StepTable {
  const entries = stepTableFields.map((field, word) => {
    const bits = ints[offset + word]!;
    return [field, stepTableFloatFields.has(field) ? bitsFloat(bits) : bits];
  });
  return Object.fromEntries(entries) as StepTable;
}
