// From a model's raw outputs to what a person wants of a prediction, as CSV or JSON. Pure.
// Softmax cross entropy: the class and probabilities; sigmoid cross entropy: probabilities; squared error: the values.
// Numbers are float32, printed with the fewest digits that read back as the same float32.

import type { LossKind } from '../../src/ir/ops.ts';
import { float32Text } from '../../src/numerics/float32-text.ts';
import { exp } from '../../src/numerics/math.ts';

export interface PredictionShape {
  readonly loss: LossKind;
  /** Numbers of one sample's output. */
  readonly outputs: number;
  /** Names of the columns that are predicted, one an output; null where they have none. */
  readonly targets: readonly string[] | null;
}

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

const sampleName = 'sample';

const csvField = (text: string): string =>
  /^\s|\s$|[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text;

/** Values are named as the columns that they predict, unless one of those is called as the first column is. */
export function csvHeader({ loss, outputs, targets }: PredictionShape): string {
  switch (loss) {
    case 'softmaxCrossEntropy':
      return [sampleName, 'class', ...numbered('probability', outputs)].join(',');
    case 'sigmoidCrossEntropy':
      return [sampleName, ...numbered('probability', outputs)].join(',');
    case 'meanSquaredError': {
      const isNamed = targets !== null && !targets.includes(sampleName);
      const names = isNamed ? targets : numbered('value', outputs);
      return [sampleName, ...names].map(csvField).join(',');
    }
    default:
      return loss satisfies never;
  }
}

export function predictionCsv(sample: number, outputs: ArrayLike<number>, { loss }: PredictionShape): string {
  if (loss !== 'softmaxCrossEntropy') return [sample, ...valuesOf(outputs, loss)].join(',');
  const probabilities = softmax(outputs);
  return [sample, largestIndex(probabilities), ...textsOf(probabilities)].join(',');
}

/** `values` is an object where the targets have names, else an array. */
export function predictionJson(
  sample: number,
  outputs: ArrayLike<number>,
  { loss, targets }: PredictionShape,
): string {
  if (loss === 'meanSquaredError') {
    const values = valuesOf(outputs, loss);
    if (targets === null) return `{"sample":${sample},"values":[${values.join(',')}]}`;
    const members = targets.map((name, i) => `${JSON.stringify(name)}:${values[i]}`);
    return `{"sample":${sample},"values":{${members.join(',')}}}`;
  }
  if (loss === 'sigmoidCrossEntropy')
    return `{"sample":${sample},"probabilities":[${valuesOf(outputs, loss).join(',')}]}`;
  const probabilities = softmax(outputs);
  const texts = textsOf(probabilities).join(',');
  return `{"sample":${sample},"class":${largestIndex(probabilities)},"probabilities":[${texts}]}`;
}

function valuesOf(outputs: ArrayLike<number>, loss: LossKind): string[] {
  const values = Array.from(outputs);
  return textsOf(loss === 'sigmoidCrossEntropy' ? values.map(sigmoid) : values);
}

const textsOf = (values: readonly number[]): string[] =>
  values.map((value) => float32Text(Math.fround(value)));
