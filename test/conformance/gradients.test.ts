// Analytic gradients against central differences, through the compiler, in float64: every layer, loss and fusion.

import { describe, expect, it } from 'vitest';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { philox, randomPurposes } from '../../src/numerics/philox.ts';
import { Solo } from '../support/solo.ts';
import { type SmallModel, smallModels } from './small-models.ts';

const rows = 7;
/** With 7 rows, 5 shards have one or two samples each, and of 9 shards two are empty. */
const shardCounts = [5, 9];
const difference = 2 ** -16;
const tolerance = 1e-8;
/** Elements checked of each tensor. */
const samplesMax = 6;

/** Uniform numbers in -1 .. 1. */
function noise(stream: number): () => number {
  const words = new Uint32Array(4);
  let count = 0;
  return () => {
    if (count % 4 === 0) philox(1, randomPurposes.data, stream, 0, 0, count / 4, words);
    return (words[count++ % 4]! * 2 ** -32 - 0.5) * 2;
  };
}

function prepare({ model, loss }: SmallModel, shards: number): Solo {
  const solo = new Solo({
    backend: referenceBackend(64),
    model,
    loss,
    optimizer: { type: 'sgd', learningRate: 0 },
    batch: rows,
    shards,
  });
  const random = noise(1);
  for (const { name, role } of solo.model.parameters) {
    const around = role === 'gamma' ? 1.2 : 0;
    solo.tensor(name).forEach((_, i, tensor) => {
      tensor[i] = around + random() * (role === 'weight' ? 0.8 : 0.4);
    });
  }
  const { targetSize, inputShape, outputSize } = solo.model;
  const inputs = Array.from({ length: rows * inputShape.reduce((a, b) => a * b, 1) }, () => 2 * random());
  const targets = Array.from({ length: rows * targetSize }, (_, i) =>
    loss === 'softmaxCrossEntropy' ? i % outputSize : loss === 'sigmoidCrossEntropy' ? (i % 3) / 2 : random(),
  );
  solo.load(inputs, targets);
  return solo;
}

function lossAt(solo: Solo, tensor: Float32Array | Float64Array, element: number, value: number): number {
  const before = tensor[element]!;
  tensor[element] = value;
  const { loss } = solo.step(1);
  tensor[element] = before;
  return loss!;
}

/** Up to samplesMax elements, spread over the tensor. */
function sampled(size: number): number[] {
  const stride = Math.max(1, Math.floor(size / samplesMax));
  return Array.from({ length: Math.min(size, samplesMax) }, (_, i) => i * stride);
}

describe.each(shardCounts)('gradients of %i shards agree with central differences', (shards) => {
  it.each(Object.entries<SmallModel>(smallModels))('%s', (_, small) => {
    const solo = prepare(small, shards);
    solo.step(1);
    const analytic = new Map(solo.model.parameters.map(({ name }) => [name, solo.gradient(name).slice()]));
    const wrong: string[] = [];
    for (const [name, gradient] of analytic) {
      const tensor = solo.tensor(name);
      const scale = Math.max(1, ...[...gradient].map(Math.abs));
      for (const element of sampled(tensor.length)) {
        const at = tensor[element]!;
        const above = lossAt(solo, tensor, element, at + difference);
        const below = lossAt(solo, tensor, element, at - difference);
        const numeric = (above - below) / (2 * difference);
        if (!(Math.abs(numeric - gradient[element]!) <= tolerance * scale)) {
          wrong.push(`${name}[${element}]: ${gradient[element]} analytic, ${numeric} numeric`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(
      [...analytic.values()].some((gradient) => gradient.some((element) => Math.abs(element) > 1e-3)),
    ).toBe(true);
  });
});
