// The list of ops of a graph, with their attributes. Everything else about an op (shape rule, gradient rule, lowering,
// printing) is a row of an exhaustive table elsewhere: a new op does not compile until every table has its row.
// Composite layers are functions over these ops.

import type { UnaryKind } from '../kernels/kernel-list.ts';

/** Kernel, stride and padding of a convolution or a pooling, in pixels; padding resolved from same / valid / explicit. */
export interface WindowAttributes {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [height: number, width: number];
  /** top, bottom, left, right */
  readonly padding: readonly [number, number, number, number];
}

/** Attributes by op. The operands, in order, are in the comment. */
export interface OpAttributes {
  // --- sources
  /** () rows of the data set's inputs */
  input: { readonly name: string };
  /** () rows of the data set's targets */
  target: { readonly name: string };
  /** () a trained tensor */
  parameter: { readonly name: string };
  /** () a tensor that training updates without a gradient: running mean and variance */
  statistic: { readonly name: string };

  // --- layers
  /** (x, w[, bias]) */
  dense: Record<never, never>;
  /** (dy, w) */
  denseInputGradient: Record<never, never>;
  /** (x, dy): parameter-shaped, summed over rows */
  denseWeightGradient: Record<never, never>;
  /** (dy): summed over rows and all dimensions but the last */
  biasGradient: Record<never, never>;
  /** (x, w[, bias]) */
  conv2d: WindowAttributes;
  /** (dy, w); inputShape is the shape of dx */
  conv2dInputGradient: WindowAttributes & { readonly inputShape: readonly [number, number, number] };
  /** (x, dy) */
  conv2dWeightGradient: WindowAttributes;
  /** (x) */
  maxPool: WindowAttributes;
  /** (dy, x, y) */
  maxPoolGradient: WindowAttributes;
  /** (x) */
  averagePool: WindowAttributes;
  /** (dy); inputShape is the shape of dx */
  averagePoolGradient: WindowAttributes & { readonly inputShape: readonly [number, number, number] };
  /** (x, gamma, beta, runningMean, runningVariance); sync 'global' merges the statistics of all shards */
  batchNorm: { readonly sync: 'global' | 'shard'; readonly epsilon: number; readonly momentum: number };
  /** (dy, y = the batchNorm's value): dx. Statistics are found through the batchNorm. */
  batchNormInputGradient: Record<never, never>;
  /** (dy, y): sum of dy * xhat */
  batchNormGammaGradient: Record<never, never>;
  /** (dy, y): sum of dy */
  batchNormBetaGradient: Record<never, never>;

  // --- elementwise and shape
  /** (x) */
  unary: { readonly kind: UnaryKind; readonly alpha: number };
  /** (dy, x, y) */
  unaryGradient: { readonly kind: UnaryKind; readonly alpha: number };
  /** (a, b) */
  add: Record<never, never>;
  /** (x, ...): along the last dimension */
  concat: Record<never, never>;
  /** (x): the part from .. from+count-1 of the last dimension */
  slice: { readonly from: number; readonly count: number };
  /** (x): same elements, another shape; costs nothing */
  reshape: { readonly shape: readonly number[] };
  /** (x): also its own gradient; layer = index among the model's dropout layers, from 0 */
  dropout: { readonly rate: number; readonly layer: number };
  /** (x): over the last dimension, which is the only one */
  softmax: Record<never, never>;
  /** (dy, y) */
  softmaxGradient: Record<never, never>;

  // --- ends: one number a row
  /** (prediction, target) */
  loss: { readonly kind: LossKind };
  /** (prediction, target): gradient of loss with respect to prediction */
  lossGradient: { readonly kind: LossKind };
  /** (prediction, target) */
  metric: { readonly kind: MetricKind };
}

export type OpName = keyof OpAttributes;

export const lossKinds = ['softmaxCrossEntropy', 'sigmoidCrossEntropy', 'meanSquaredError'] as const;
export type LossKind = (typeof lossKinds)[number];

/** classAccuracy: target is a class index; binaryAccuracy: targets 0 or 1 against logits (threshold 0). */
export const metricKinds = ['classAccuracy', 'binaryAccuracy', 'meanAbsoluteError'] as const;
export type MetricKind = (typeof metricKinds)[number];
