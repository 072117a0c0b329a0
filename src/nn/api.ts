// The typed way to write a model: functions that make the same description as JSON does, with types and defaults in the
// editor. Nothing is checked here but types; the config's schema and buildModel check the rest.

import type { LayerInput, ModelInput } from './description.ts';

type InputOf<K extends LayerInput['type']> = Extract<LayerInput, { type: K }>;
/** A layer's keys without its type. */
type Options<K extends LayerInput['type']> = Omit<InputOf<K>, 'type'>;

/**
 * A model from the shape of one sample and its layers, each reading the one before it.
 *
 * @example
 * const model = sequential([28, 28, 1], [
 *   conv2d({ filters: 16, kernel: 3 }), batchNorm(), relu(), maxPool(),
 *   flatten(), dense(10),
 * ]);
 * @example A residual block: names join what is not a chain.
 * const model = sequential([8, 8, 16], [
 *   conv2d({ filters: 16, kernel: 3 }), relu(), conv2d({ filters: 16, kernel: 3, name: 'inner' }),
 *   add(['inner', 'input']), relu(), globalAveragePool(), dense(10),
 * ]);
 */
export function sequential(input: ModelInput['input'], layers: readonly LayerInput[]): ModelInput {
  return { input, layers: [...layers] };
}

/** y = x w + b for flat input. Weights [inputs, units]. `dense(10)`, `dense(128, { initializer: 'he' })` */
export function dense(units: number, options: Omit<Options<'dense'>, 'units'> = {}): LayerInput {
  return { type: 'dense', units, ...options };
}

/**
 * Convolution of images [height, width, channels]; padding "same" unless said. Weights [height, width, channels, filters].
 * `conv2d({ filters: 32, kernel: 3 })`, `conv2d({ filters: 64, kernel: [1, 5], stride: 2, padding: 'valid' })`
 */
export function conv2d(options: Options<'conv2d'>): LayerInput {
  return { type: 'conv2d', ...options };
}

/** The largest of each window; 2 x 2, its stride the kernel, unless said. `maxPool({ kernel: 3, stride: 2, padding: 'same' })` */
export function maxPool(options: Options<'maxPool'> = {}): LayerInput {
  return { type: 'maxPool', ...options };
}

/** The mean of each window, padding not counted; 2 x 2 unless said. `averagePool({ kernel: 7 })` */
export function averagePool(options: Options<'averagePool'> = {}): LayerInput {
  return { type: 'averagePool', ...options };
}

/** The mean of each channel over the whole image: [height, width, channels] to [channels]. */
export function globalAveragePool(options: Options<'globalAveragePool'> = {}): LayerInput {
  return { type: 'globalAveragePool', ...options };
}

/**
 * Batch normalisation by channel, with statistics of the whole global batch, whoever computes it.
 * `batchNorm({ sync: 'shard' })` takes them shard by shard, without communication (ghost batch norm).
 */
export function batchNorm(options: Options<'batchNorm'> = {}): LayerInput {
  return { type: 'batchNorm', ...options };
}

/** Drops elements with probability `rate` in training and scales the rest by 1 / (1 - rate). `dropout(0.25)` */
export function dropout(rate = 0.5, options: Omit<Options<'dropout'>, 'rate'> = {}): LayerInput {
  return { type: 'dropout', rate, ...options };
}

/** [height, width, channels] to [height * width * channels]. */
export function flatten(options: Options<'flatten'> = {}): LayerInput {
  return { type: 'flatten', ...options };
}

/** max(0, x) */
export function relu(options: Options<'relu'> = {}): LayerInput {
  return { type: 'relu', ...options };
}

/** x, or alpha x below zero. `leakyRelu({ alpha: 0.2 })` */
export function leakyRelu(options: Options<'leakyRelu'> = {}): LayerInput {
  return { type: 'leakyRelu', ...options };
}

/** x, or alpha (e^x - 1) below zero. */
export function elu(options: Options<'elu'> = {}): LayerInput {
  return { type: 'elu', ...options };
}

/** 1 / (1 + e^-x) */
export function sigmoid(options: Options<'sigmoid'> = {}): LayerInput {
  return { type: 'sigmoid', ...options };
}

export function tanh(options: Options<'tanh'> = {}): LayerInput {
  return { type: 'tanh', ...options };
}

/** x times the normal distribution function of x, exact (by erf). */
export function gelu(options: Options<'gelu'> = {}): LayerInput {
  return { type: 'gelu', ...options };
}

/** e^x / sum of e^x over the outputs of a sample. Not in front of softmaxCrossEntropy, which has it built in. */
export function softmax(options: Options<'softmax'> = {}): LayerInput {
  return { type: 'softmax', ...options };
}

/** The sum of layers of one shape, by name; "input" is the model's input. `add(['conv2', 'input'])` */
export function add(inputs: readonly string[], options: Omit<Options<'add'>, 'inputs'> = {}): LayerInput {
  return { type: 'add', inputs: [...inputs], ...options };
}

/** Layers side by side along their last dimension, by name. `concat(['narrow', 'wide'])` */
export function concat(
  inputs: readonly string[],
  options: Omit<Options<'concat'>, 'inputs'> = {},
): LayerInput {
  return { type: 'concat', inputs: [...inputs], ...options };
}
