// Two small training runs for the tests of engine and lanes, on 72 inputs and 3 classes.

import type { Job } from './world.ts';

/** Conv, batch norm of both kinds, dropout, clipping, AdamW; the batches of 45 samples end ragged, with empty shards. */
export const cnn: Job = {
  model: {
    input: [6, 6, 2],
    layers: [
      { type: 'conv2d', filters: 5, kernel: 3 },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'maxPool' },
      { type: 'conv2d', filters: 3, kernel: 2, padding: 'valid' },
      { type: 'batchNorm', sync: 'shard' },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dropout', rate: 0.3 },
      { type: 'dense', units: 7 },
      { type: 'relu' },
      { type: 'dense', units: 3 },
    ],
  },
  options: { loss: 'softmaxCrossEntropy', metrics: ['accuracy'] },
  optimizer: { type: 'adamW', learningRate: 0.01 },
  clipNorm: 0.5,
  batch: 20,
  shards: 8,
  seed: 3,
  bucketBytes: 400,
};

export const mlp: Job = {
  model: {
    input: [72],
    layers: [{ type: 'dense', units: 16 }, { type: 'relu' }, { type: 'dense', units: 3 }],
  },
  options: { loss: 'softmaxCrossEntropy', metrics: ['accuracy'] },
  optimizer: { type: 'momentum', learningRate: 0.1 },
  batch: 15,
  shards: 8,
  seed: 5,
};
