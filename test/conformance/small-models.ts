// Small models that between them have every layer, every loss and every fusion of the compiler. Data for tests.

import type { LossKind } from '../../src/ir/ops.ts';
import {
  add,
  averagePool,
  batchNorm,
  concat,
  conv2d,
  dense,
  dropout,
  elu,
  flatten,
  gelu,
  globalAveragePool,
  leakyRelu,
  maxPool,
  relu,
  sequential,
  sigmoid,
  softmax,
  tanh,
} from '../../src/nn/api.ts';
import type { LayerInput, ModelInput } from '../../src/nn/description.ts';

export interface SmallModel {
  readonly model: ModelInput;
  readonly loss: LossKind;
}

const flat = (layers: readonly LayerInput[], loss: LossKind = 'softmaxCrossEntropy'): SmallModel => ({
  model: sequential([5], layers),
  loss,
});

/** Behind the given layers: flatten, and a dense layer of three outputs. */
const image = (layers: readonly LayerInput[], loss: LossKind = 'softmaxCrossEntropy'): SmallModel => ({
  model: sequential([5, 6, 2], [...layers, flatten(), dense(3)]),
  loss,
});

const conv = (options: Partial<Parameters<typeof conv2d>[0]> = {}): LayerInput =>
  conv2d({ filters: 3, kernel: 3, ...options });

export const smallModels = {
  'dense, softmax cross entropy': flat([dense(3)]),
  'dense, sigmoid cross entropy': flat([dense(3)], 'sigmoidCrossEntropy'),
  'dense, mean squared error': flat([dense(3)], 'meanSquaredError'),
  'dense without bias': flat([dense(4, { bias: false }), tanh(), dense(3, { bias: false })]),
  'softmax as a layer': flat([dense(4), softmax(), dense(3), softmax()], 'meanSquaredError'),

  'conv2d same': image([conv(), tanh(), conv()]),
  'conv2d same, stride 2': image([conv(), tanh(), conv({ stride: 2 })]),
  'conv2d valid, kernel 2 x 3': image([
    conv({ padding: 'valid' }),
    tanh(),
    conv({ kernel: [2, 3], padding: 'valid' }),
  ]),
  'conv2d with explicit padding': image([
    conv(),
    tanh(),
    conv({ padding: [2, 0, 1, 2], stride: [2, 1], bias: false }),
  ]),
  'conv2d 1 x 1': image([conv({ kernel: 1 }), tanh(), conv({ kernel: 1, stride: 2 })]),

  maxPool: image([conv(), maxPool()]),
  'maxPool, overlapping and padded': image([conv(), maxPool({ kernel: 3, stride: 2, padding: 'same' })]),
  averagePool: image([conv(), averagePool()]),
  'averagePool, overlapping and padded': image([
    conv(),
    averagePool({ kernel: 3, stride: 2, padding: 'same' }),
  ]),
  globalAveragePool: {
    model: sequential([5, 6, 2], [conv(), tanh(), globalAveragePool(), dense(3)]),
    loss: 'softmaxCrossEntropy',
  },

  'batchNorm of a vector': flat([dense(4), batchNorm(), tanh(), dense(3)]),
  'batchNorm of images': image([conv({ bias: false }), batchNorm(), tanh()]),
  'batchNorm by shard': image([conv({ bias: false }), batchNorm({ sync: 'shard' }), tanh()]),
  'batchNorm of the input': image([batchNorm(), tanh()]),
  'batchNorm twice': flat([dense(4), batchNorm(), dense(4), batchNorm(), dense(3)]),
  'batchNorm last': flat([dense(3), batchNorm()]),

  dropout: flat([dense(8), dropout(0.4), tanh(), dropout(), dense(3)]),
  relu: flat([dense(8), relu(), dense(3)]),
  leakyRelu: flat([dense(8), leakyRelu({ alpha: 0.2 }), dense(3)]),
  elu: flat([dense(8), elu({ alpha: 0.7 }), dense(3)]),
  sigmoid: flat([dense(8), sigmoid(), dense(3)]),
  tanh: flat([dense(8), tanh(), dense(3)]),
  gelu: flat([dense(8), gelu(), dense(3)]),

  // What the compiler fuses, and its neighbours that it must not fuse.
  'conv2d, relu, maxPool, conv2d': image([conv(), relu(), maxPool(), conv()]),
  'conv2d, maxPool, relu, conv2d': image([conv(), maxPool(), relu(), conv()]),
  'conv2d, batchNorm, relu twice': image([conv(), batchNorm(), relu(), conv(), batchNorm(), relu()]),
  'batchNorm by shard, relu': image([conv(), batchNorm({ sync: 'shard' }), relu()]),
  'batchNorm, relu, maxPool': image([conv(), batchNorm(), relu(), maxPool()]),
  'relu, batchNorm': image([conv(), relu(), batchNorm()]),
  'relu, dropout': flat([dense(8), relu(), dropout(0.3), dense(6), relu(), dense(3)]),
  'relu, flatten': image([conv(), relu()]),
  'relu as the output': flat([dense(8), relu(), dense(3), relu()], 'meanSquaredError'),
  'relu twice': flat([dense(8), relu(), relu(), dense(3)]),

  add: flat([dense(5), add(['dense1', 'input']), dense(3)]),
  'add of three': flat([dense(4), tanh(), dense(4), add(['dense1', 'tanh1', 'dense2']), dense(3)]),
  'add of one thing twice': flat([dense(4), add(['dense1', 'dense1']), dense(3)]),
  'add of two relus': flat([dense(4), relu(), dense(4), relu(), add(['relu1', 'relu2']), relu(), dense(3)]),
  concat: image([conv(), conv({ filters: 2, input: 'input' }), concat(['conv1', 'input', 'conv2'])]),
  'concat of vectors': flat([
    dense(4),
    relu(),
    dense(2, { input: 'dense1' }),
    concat(['relu1', 'dense2']),
    relu(),
    dense(3),
  ]),
  'a relu with two readers': flat([dense(4), relu(), dense(4), add(['dense2', 'relu1']), dense(3)]),
  'a dense layer read bare and through relu': flat([dense(4), relu(), add(['dense1', 'relu1']), dense(3)]),
  'a residual block': image([
    conv(),
    batchNorm(),
    relu({ name: 'start' }),
    conv(),
    batchNorm(),
    relu(),
    conv(),
    batchNorm({ name: 'end' }),
    add(['end', 'start']),
    relu(),
    averagePool(),
  ]),
  'an inception block': image([
    conv({ name: 'narrow', kernel: 1 }),
    relu({ name: 'a' }),
    conv({ input: 'input', kernel: 1 }),
    relu(),
    conv({ name: 'wide' }),
    relu({ name: 'b' }),
    maxPool({ input: 'input', kernel: 3, stride: 1, padding: 'same' }),
    conv({ name: 'pooled', kernel: 1 }),
    concat(['a', 'b', 'pooled']),
    relu(),
    maxPool(),
  ]),
} as const satisfies Record<string, SmallModel>;
