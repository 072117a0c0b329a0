// How far a float32 backend may be from the float64 reference, kernel by kernel. In units of 2^-24 (half the spacing of
// float32 at 1) of max(1, |expected|): the battery's numbers are of the order of 1, longer sums are given more.
// exact: the kernel moves, chooses or counts.

import type { KernelName } from '../../src/kernels/kernel-list.ts';

export const exact = 0;

const tolerances: { readonly [K in KernelName]: number } = {
  barrier: exact,
  fill: exact,
  denseForward: 400, // up to 1100 terms
  denseInputGradient: 400,
  denseWeightGradient: 400, // up to 300 terms a shard
  columnSums: 32, // long sums, and the tree
  convForward: 300, // up to 33000 terms
  convInputGradient: 500,
  convWeightGradient: 600, // up to 1600 terms,
  maxPoolForward: exact,
  maxPoolBackward: 8,
  averagePoolForward: 8,
  averagePoolBackward: 8,
  momentsLeaves: 32,
  momentsNodes: 16,
  momentsMerge: 16,
  momentsPrepare: 8,
  momentsRunning: 4,
  runningPrepare: 4,
  normalizeForward: 4,
  normalizeSums: 64,
  normalizeBackward: 8,
  sumNodes: 8,
  sumMerge: 8,
  unaryForward: 4,
  unaryBackward: 4,
  add: 1,
  copyColumns: exact,
  dropout: 1,
  softmaxForward: 4,
  softmaxBackward: 4,
  softmaxCrossEntropy: 8,
  sigmoidCrossEntropy: 8,
  meanSquaredError: 8,
  classCorrect: exact,
  binaryCorrect: 1,
  absoluteError: 8,
  shardSums: 8,
  blockNorms: 16,
  clipFactor: 8,
  sgd: 4,
  momentum: 4,
  adam: 8,
};

/** Without a fused multiply-add, max(x, 0) - x t cancels after x t was rounded: x is up to 200 in the battery. */
const withoutFusing: Partial<Record<KernelName, number>> = { sigmoidCrossEntropy: 200 };

export function toleranceOf(kernel: KernelName, isFused: boolean): number {
  return (isFused ? undefined : withoutFusing[kernel]) ?? tolerances[kernel];
}
