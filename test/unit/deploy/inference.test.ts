// Predictions in this process: what would be no number is an error that names the sample.

import { expect, it } from 'vitest';
import { inferCheckpoint } from '../../../deploy/inference.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { sharedFloats } from '../../../src/data/shared-floats.ts';
import { sampleFitted } from '../../support/fitted.ts';

const config = parseConfig(
  {
    data: { kind: 'csv', train: 'a.csv', target: 'price' },
    model: { input: [2], layers: [{ type: 'dense', units: 1, bias: false }] },
    loss: 'meanSquaredError',
    optimizer: { type: 'sgd' },
    batch: 2,
  },
  'test.json',
);

/** price = weight * (size + rooms) */
async function predicted(weight: number, inputs: readonly number[]): Promise<number[]> {
  const values: number[] = [];
  const samples = inputs.length / 2;
  const test = { samples, inputs: sharedFloats(inputs.length), targets: sharedFloats(samples) };
  test.inputs.set(inputs);
  const none = { samples: 0, inputs: sharedFloats(0), targets: sharedFloats(0) };
  await inferCheckpoint({
    checkpoint: {
      ...{
        step: 1,
        seed: 1,
        config,
        fingerprint: '',
        datasetSha256: '',
        trainSha256: '',
        fitted: sampleFitted,
      },
      parameters: [{ name: 'dense1.weight', shape: [2, 1], data: Float32Array.of(weight, weight) }],
      ...{ statistics: [], slots: [], metrics: {}, previousSha256: null },
    },
    config,
    dataset: { inputShape: [2], targetSize: 1, train: none, test },
    split: 'test',
    backend: undefined,
    threads: 1,
    onBatch: ({ outputs }) => void values.push(...outputs),
  });
  return values;
}

it('gives the values of the model', async () => {
  expect(await predicted(2, [1, 2, 3, 4, 5, 6])).toEqual([6, 14, 22]);
});

it.each([
  [3e38, [0, 0, 0, 0, 1, 1], 2, 'Infinity'],
  [1, [0, 0, 3e38, 3e38], 1, 'Infinity'],
])('refuses what is no number: %#', async (weight, inputs, sample, value) => {
  await expect(predicted(weight, inputs)).rejects.toMatchObject({
    code: 'LOCKSTEP_NOT_FINITE',
    message:
      `sample ${sample}: the model gives ${value}, which is no prediction; ` +
      'look for values of this sample far beyond those that the model was trained on',
  });
});
