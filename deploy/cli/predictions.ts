// From a model's raw outputs to what a person wants of a prediction, as CSV or JSON. Pure.
// Softmax cross entropy: the class and probabilities; sigmoid cross entropy: probabilities; squared error: the values.

import type { LossKind } from '../../src/ir/ops.ts';
import { exp } from '../../src/numerics/math.ts';

export interface PredictionShape {
  readonly loss: LossKind;
  /** Numbers of one sample's output. */
  readonly outputs: number;
}

const digits = 6;
const rounded = (value: number): number => Number(value.toPrecision(digits));

/** Probabilities of the classes, from logits. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const powers = values.map((value) => exp(value - largest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

const sigmoid = (logit: number): number => 1 / (1 + exp(-logit));

/** Index of the largest; the first of equals. */
export function largestIndex(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

function numbered(name: string, count: number): string[] {
  return count === 1 ? [name] : Array.from({ length: count }, (_, index) => `${name}${index}`);
}

export function csvHeader({ loss, outputs }: PredictionShape): string {
  switch (loss) {
    case 'softmaxCrossEntropy':
      return ['sample', 'class', ...numbered('probability', outputs)].join(',');
    case 'sigmoidCrossEntropy':
      return ['sample', ...numbered('probability', outputs)].join(',');
    case 'meanSquaredError':
      return ['sample', ...numbered('value', outputs)].join(',');
    default:
      return loss satisfies never;
  }
}

export function predictionCsv(sample: number, outputs: ArrayLike<number>, { loss }: PredictionShape): string {
  if (loss !== 'softmaxCrossEntropy') return [sample, ...valuesOf(outputs, loss)].join(',');
  const probabilities = softmax(outputs);
  return [sample, largestIndex(probabilities), ...probabilities.map(rounded)].join(',');
}

export function predictionJson(
  sample: number,
  outputs: ArrayLike<number>,
  { loss }: PredictionShape,
): string {
  if (loss === 'meanSquaredError') return JSON.stringify({ sample, values: valuesOf(outputs, loss) });
  if (loss === 'sigmoidCrossEntropy')
    return JSON.stringify({ sample, probabilities: valuesOf(outputs, loss) });
  const probabilities = softmax(outputs);
  return JSON.stringify({
    sample,
    class: largestIndex(probabilities),
    probabilities: probabilities.map(rounded),
  });
}

function valuesOf(outputs: ArrayLike<number>, loss: LossKind): number[] {
  return Array.from(outputs, (value) => rounded(loss === 'sigmoidCrossEntropy' ? sigmoid(value) : value));
}
