// Three small networks that between them use every op of a training graph; shared by golden and unit tests.

import type { BuildOptions } from '../../../src/nn/build.ts';
import type { ModelInput } from '../../../src/nn/description.ts';

interface Network {
  readonly model: ModelInput;
  readonly options: BuildOptions;
}

export const networks = {
  mlp: {
    model: {
      input: [8],
      layers: [
        { type: 'dense', units: 6 },
        { type: 'tanh' },
        { type: 'dense', units: 4, bias: false },
        { type: 'softmax' },
      ],
    },
    options: { loss: 'meanSquaredError', metrics: ['meanAbsoluteError'] },
  },
  cnn: {
    model: {
      input: [9, 9, 1],
      layers: [
        { type: 'conv2d', filters: 4, kernel: 3, stride: 2, bias: false },
        { type: 'batchNorm' },
        { type: 'relu' },
        { type: 'maxPool' },
        { type: 'conv2d', filters: 6, kernel: [1, 2], padding: 'valid' },
        { type: 'leakyRelu', alpha: 0.1 },
        { type: 'flatten' },
        { type: 'dropout', rate: 0.25 },
        { type: 'dense', units: 3, initializer: 'he' },
      ],
    },
    options: { loss: 'softmaxCrossEntropy', metrics: ['accuracy'] },
  },
  graph: {
    model: {
      input: [6, 6, 2],
      layers: [
        { type: 'conv2d', name: 'stem', filters: 4, kernel: 3 },
        { type: 'conv2d', name: 'left', filters: 4, kernel: 1, input: 'stem' },
        { type: 'gelu', name: 'bent' },
        { type: 'add', name: 'residual', inputs: ['bent', 'stem'] },
        { type: 'averagePool', name: 'right', kernel: 3, stride: 1, padding: 'same', input: 'stem' },
        { type: 'concat', inputs: ['residual', 'right', 'stem'] },
        { type: 'elu' },
        { type: 'globalAveragePool' },
        { type: 'dense', units: 1 },
      ],
    },
    options: { loss: 'sigmoidCrossEntropy', metrics: ['accuracy'] },
  },
} as const satisfies Record<string, Network>;
