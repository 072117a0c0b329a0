// A config as a module: JavaScript where JSON would repeat itself, with completion and types in an editor.
// npx lockstep train examples/spirals.mjs --data examples/data

import { defineConfig } from 'lockstep';

const hidden = [64, 64];

export default defineConfig({
  data: {
    kind: 'csv',
    train: 'spirals-train.csv',
    test: 'spirals-test.csv',
    target: 'arm',
    classes: 3,
    scale: 'none',
  },
  model: {
    input: [2],
    layers: [
      ...hidden.flatMap((units) => [
        /** @type {const} */ ({ type: 'dense', units, initializer: 'he' }),
        /** @type {const} */ ({ type: 'relu' }),
      ]),
      { type: 'dense', units: 3 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam', learningRate: 0.005 },
  batch: 32,
  epochs: 40,
  checkpoint: { everyEpochs: 20 },
  evaluate: { everyEpochs: 10 },
});
