// Every kernel in plain TypeScript: the definition that the C kernels are held against.
// Exhaustive: a new row of kernel-list.ts does not compile until it is here.

import type { KernelName } from '../kernel-list.ts';
import { barrier, copyColumns, fill } from './control.ts';
import { convForward, convInputGradient, convWeightGradient } from './convolution.ts';
import { columnSums, denseForward, denseInputGradient, denseWeightGradient } from './dense.ts';
import { add, dropout, unaryBackward, unaryForward } from './elementwise.ts';
import type { ReferenceKernel } from './lane.ts';
import {
  absoluteError,
  binaryCorrect,
  classCorrect,
  meanSquaredError,
  sigmoidCrossEntropy,
  softmaxBackward,
  softmaxCrossEntropy,
  softmaxForward,
} from './losses.ts';
import {
  momentsLeaves,
  momentsMerge,
  momentsNodes,
  momentsPrepare,
  momentsRunning,
  runningPrepare,
} from './moments.ts';
import { normalizeBackward, normalizeForward, normalizeSums } from './normalize.ts';
import { averagePoolBackward, averagePoolForward, maxPoolBackward, maxPoolForward } from './pooling.ts';
import { shardSums, sumMerge, sumNodes } from './sums.ts';
import { adam, blockNorms, clipFactor, momentum, sgd } from './update.ts';

export const referenceKernels: { readonly [K in KernelName]: ReferenceKernel<K> } = {
  barrier,
  fill,
  denseForward,
  denseInputGradient,
  denseWeightGradient,
  columnSums,
  convForward,
  convInputGradient,
  convWeightGradient,
  maxPoolForward,
  maxPoolBackward,
  averagePoolForward,
  averagePoolBackward,
  momentsLeaves,
  momentsNodes,
  momentsMerge,
  momentsPrepare,
  momentsRunning,
  runningPrepare,
  normalizeForward,
  normalizeSums,
  normalizeBackward,
  sumNodes,
  sumMerge,
  unaryForward,
  unaryBackward,
  add,
  copyColumns,
  dropout,
  softmaxForward,
  softmaxBackward,
  softmaxCrossEntropy,
  sigmoidCrossEntropy,
  meanSquaredError,
  classCorrect,
  binaryCorrect,
  absoluteError,
  shardSums,
  blockNorms,
  clipFactor,
  sgd,
  momentum,
  adam,
};
