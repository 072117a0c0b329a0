// parseConfig: defaults, and for each kind of mistake the exact line a user reads.

import { describe, expect, test } from 'vitest';
import { overrideConfig, parseConfig } from '../../../src/config/parse.ts';
import { LockstepError } from '../../../src/errors.ts';

const minimal = {
  data: { kind: 'digits' },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 8, kernel: 3 },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam' },
};

type Json = Record<string, unknown>;

/** `minimal` with the value at `path` replaced; undefined removes it. */
function changed(path: string, value: unknown): Json {
  const copy = structuredClone(minimal) as Json;
  const keys = path.split('.');
  let at = copy;
  for (const key of keys.slice(0, -1)) at = at[key] as Json;
  if (value === undefined) delete at[keys.at(-1)!];
  else at[keys.at(-1)!] = value;
  return copy;
}

function messageOf(json: unknown): string {
  try {
    parseConfig(json, 'a.json');
  } catch (error) {
    expect(error).toBeInstanceOf(LockstepError);
    expect((error as LockstepError).code).toBe('LOCKSTEP_CONFIG_INVALID');
    return (error as LockstepError).message;
  }
  return 'no error';
}

describe('defaults', () => {
  test('a minimal config is filled in', () => {
    const { model, ...config } = parseConfig(minimal, 'examples/small net.json');
    expect(model.layers).toHaveLength(4);
    expect(config).toMatchObject({
      name: 'small-net',
      data: { kind: 'digits', train: 12_000, test: 2000, seed: 1, scale: 'unit' },
      metrics: ['accuracy'],
      optimizer: { type: 'adam', learningRate: 0.001, beta1: 0.9 },
      batch: 64,
      epochs: 5,
      shards: 8,
      seed: 1,
      checkpoint: { everyEpochs: 1, keep: 3 },
      evaluate: { everyEpochs: 1 },
      bucketBytes: 4_194_304,
    });
    expect(config).not.toHaveProperty('steps');
    expect(config).not.toHaveProperty('clipNorm');
  });

  test('a parsed config is a config, and parsing it again changes nothing', () => {
    const config = parseConfig({ $schema: 'x', ...minimal, steps: 7, clipNorm: 1 }, 'a.json');
    expect(parseConfig(JSON.parse(JSON.stringify(config)), 'another.json')).toEqual(config);
  });

  test('a config is frozen to its leaves', () => {
    const config = parseConfig(minimal, 'a.json');
    expect(Object.isFrozen(config.model.layers[0])).toBe(true);
    expect(Object.isFrozen(config.optimizer)).toBe(true);
  });

  test('flags replace values, and steps replace epochs', () => {
    const config = overrideConfig(parseConfig(minimal, 'a.json'), { steps: 3, seed: 9, shards: undefined });
    expect(config).toMatchObject({ name: 'a', steps: 3, seed: 9, shards: 8 });
    expect(config).not.toHaveProperty('epochs');
    expect(() => overrideConfig(config, { shards: 0 })).toThrow(
      'command line: shards: must be at least 1, got 0',
    );
  });
});

const mistakes: readonly (readonly [json: unknown, message: string])[] = [
  [
    changed('model.layers.0.kernal', 3),
    'a.json: model.layers[0].kernal: unknown key; did you mean "kernel"?',
  ],
  [
    changed('model.layers.0', { type: 'conv2d', filters: 8, kernal: 3 }),
    'a.json: model.layers[0].kernal: unknown key; did you mean "kernel"? (and 1 more)',
  ],
  [changed('bacth', 3), 'a.json: bacth: unknown key; did you mean "batch"?'],
  [
    changed('optimizer.learning_rate', 3),
    'a.json: optimizer.learning_rate: unknown key; did you mean "learningRate"?',
  ],
  [
    changed('optimizer.learningRate', { type: 'cosine', peek: 1, total: 10 }),
    'a.json: optimizer.learningRate.peek: unknown key; did you mean "peak"?',
  ],
  [
    changed('data.colour', 3),
    'a.json: data.colour: unknown key; valid keys here are "kind", "train", "test", "seed", "scale"',
  ],
  [
    changed('model.layers.1.type', 'rleu'),
    'a.json: model.layers[1].type: "rleu" is not valid here; did you mean "relu"? Expected "dense", "conv2d", ' +
      '"maxPool", "averagePool", "globalAveragePool", "batchNorm", "dropout", "flatten", "relu", "leakyRelu", "elu", ' +
      '"sigmoid", "tanh", "gelu", "softmax", "add" or "concat"',
  ],
  [
    changed('loss', 'softmaxCrossentropy'),
    'a.json: loss: "softmaxCrossentropy" is not valid here; did you mean "softmaxCrossEntropy"? ' +
      'Expected "softmaxCrossEntropy", "sigmoidCrossEntropy" or "meanSquaredError"',
  ],
  [
    changed('loss', undefined),
    'a.json: loss: missing; expected "softmaxCrossEntropy", "sigmoidCrossEntropy" or "meanSquaredError"',
  ],
  [
    changed('data.kind', undefined),
    'a.json: data.kind: missing; expected "digits", "idx", "csv" or "synthetic"',
  ],
  [changed('model', undefined), 'a.json: model: missing; expected an object'],
  [changed('model.layers', []), 'a.json: model.layers: must have at least 1 element, has 0'],
  [changed('model.layers.3.units', '10'), 'a.json: model.layers[3].units: expected a number, got "10"'],
  [changed('model.layers.3.units', undefined), 'a.json: model.layers[3].units: missing; expected a number'],
  [
    changed('model.input', [32, 32, 3]),
    'a.json: model.input: is [32, 32, 3], but a sample of the data has the shape [28, 28, 1]',
  ],
  [changed('batch', 0), 'a.json: batch: must be at least 1, got 0'],
  [changed('batch', 1.5), 'a.json: batch: expected an integer, got 1.5'],
  [changed('shards', 0), 'a.json: shards: must be at least 1, got 0'],
  [changed('seed', -1), 'a.json: seed: must be at least 0, got -1'],
  [changed('seed', 2 ** 32), 'a.json: seed: must be at most 4294967295, got 4294967296'],
  [changed('clipNorm', 0), 'a.json: clipNorm: must be greater than 0, got 0'],
  [changed('clipNorm', null), 'a.json: clipNorm: expected a number, got null'],
  [{ ...minimal, epochs: 1, steps: 1 }, 'a.json: steps: give epochs or steps, not both'],
  [
    changed('evaluate', { everyEpochs: 1, everySteps: 1 }),
    'a.json: evaluate: give everyEpochs or everySteps, not both',
  ],
  [
    changed('loss', 'meanSquaredError'),
    'a.json: loss: meanSquaredError needs values as targets, but the data has class indices; use softmaxCrossEntropy',
  ],
  [
    changed('data', { kind: 'csv', train: 'a.csv', target: 'y' }),
    'a.json: loss: softmaxCrossEntropy needs a class index as target, but the data has values; give data.classes or ' +
      'another loss',
  ],
  [
    changed('data', { kind: 'csv', train: 'a.csv', target: 3 }),
    'a.json: data.target: expected a string or an array, got 3',
  ],
  [
    changed('checkpoint', { best: 'acuracy' }),
    'a.json: checkpoint.best: "acuracy" is not valid here; did you mean "accuracy"? Expected "loss", "accuracy" or ' +
      '"meanAbsoluteError"',
  ],
  [
    changed('checkpoint', { best: 'meanAbsoluteError' }),
    'a.json: checkpoint.best: meanAbsoluteError is not measured in this run; add it to metrics, or choose loss or ' +
      'accuracy',
  ],
  [changed('name', '../x'), 'a.json: name: letters, digits, ".", "_" and "-" only, got "../x"'],
  [[], 'a.json: expected an object, got []'],
  ['text', 'a.json: expected an object, got "text"'],
];

describe('mistakes', () => {
  test.each(mistakes.map(([json, message]) => ({ json, message })))('$message', ({ json, message }) => {
    expect(messageOf(json)).toBe(message);
  });
});
