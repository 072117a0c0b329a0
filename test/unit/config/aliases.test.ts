// Words of other frameworks: each row of the table is tried where its meaning has a place, and the config that follows the
// advice is accepted.

import { describe, expect, it } from 'vitest';
import { aliasTable, plain } from '../../../src/config/aliases.ts';
import { parseConfig } from '../../../src/config/parse.ts';

type Json = Record<string, unknown>;

const dense = { type: 'dense', units: 4, bias: true, initializer: 'heUniform' };
const layersOf = (...layers: Json[]): Json => ({ input: [8, 8, 1], layers });
const base = {
  data: { kind: 'synthetic', train: 8, test: 4, shape: [8, 8, 1], targets: 4, scale: 'standard', seed: 1 },
  model: layersOf({ type: 'flatten' }, dense),
  loss: 'meanSquaredError',
  optimizer: { type: 'sgd', learningRate: 0.1 },
};
const ofClasses = { ...base, data: { kind: 'synthetic', train: 8, shape: [8, 8, 1], classes: 4 } };
const csv = { kind: 'csv', train: 'a.csv', test: 'b.csv', target: 'y', features: ['x'], scale: 'none' };

/** Valid configs in which every word that an alias may mean has its place. */
const places: readonly Json[] = [
  { ...base, batch: 4, epochs: 1, seed: 3, clipNorm: 1, metrics: ['meanAbsoluteError'] },
  { ...base, steps: 3, evaluate: { everySteps: 2 }, checkpoint: { everyEpochs: 1, keep: 2, best: 'loss' } },
  { ...base, optimizer: { type: 'adam', learningRate: 0.1, epsilon: 1e-8, weightDecay: 0.1, l2: 0.1 } },
  { ...base, optimizer: { type: 'momentum', momentum: 0.9 } },
  {
    ...base,
    optimizer: { type: 'nesterov', learningRate: { type: 'step', initial: 1, factor: 0.5, every: 2 } },
  },
  {
    ...base,
    optimizer: { type: 'sgd', learningRate: { type: 'exponential', initial: 1, decay: 0.5, every: 2 } },
  },
  {
    ...base,
    optimizer: { type: 'sgd', learningRate: { type: 'cosine', peak: 1, warmup: 1, total: 9, final: 0 } },
  },
  { ...base, optimizer: { type: 'sgd', learningRate: { type: 'constant', value: 1 } } },
  { ...ofClasses, loss: 'softmaxCrossEntropy', metrics: ['accuracy'] },
  { ...base, loss: 'sigmoidCrossEntropy' },
  {
    ...base,
    data: { kind: 'idx', train: { images: 'i', labels: 'l' }, test: { images: 'i', labels: 'l' } },
    loss: 'softmaxCrossEntropy',
  },
  { ...base, data: csv, model: { input: [1], layers: [dense] } },
  {
    ...base,
    model: layersOf(
      { type: 'conv2d', filters: 2, kernel: 3, stride: 1, padding: 'same', initializer: 'glorotUniform' },
      { type: 'batchNorm', epsilon: 1e-5 },
      { type: 'leakyRelu', alpha: 0.1, name: 'a' },
      { type: 'sigmoid', name: 'b' },
      { type: 'add', inputs: ['a', 'b'] },
      { type: 'concat', inputs: ['a', 'b'] },
      { type: 'maxPool', kernel: 2 },
      { type: 'averagePool', kernel: 2 },
      { type: 'dropout', rate: 0.5 },
      { type: 'globalAveragePool' },
      dense,
    ),
  },
  ...['glorot', 'he', 'lecun', 'gaussian', 'uniform', 'zeros'].map((initializer) => ({
    ...base,
    model: layersOf({ type: 'flatten' }, { ...dense, initializer }),
  })),
];

const messageOf = (config: unknown): string | null => {
  try {
    parseConfig(config, 'config');
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

/** Copies of `json` with one key or one text that is `from` replaced by `to`. */
function* replaced(json: unknown, from: string, to: string): Generator<unknown> {
  if (json === from) yield to;
  if (Array.isArray(json)) {
    for (const [i, part] of json.entries())
      for (const copy of replaced(part, from, to)) yield json.map((each, j) => (i === j ? copy : each));
  } else if (typeof json === 'object' && json !== null) {
    const entries = Object.entries(json);
    for (const [i, [key, value]] of entries.entries()) {
      const put = (entry: [string, unknown]): unknown =>
        Object.fromEntries(entries.map((each, j) => (i === j ? entry : each)));
      if (key === from) yield put([to, value]);
      for (const copy of replaced(value, from, to)) yield put([key, copy]);
    }
  }
}

/** Some: there are many of most words, which are alike. */
const placesOf = (word: string): Json[] =>
  places.filter((place) => JSON.stringify(place).includes(`"${word}"`)).slice(0, 3);

const advised = (message: string): string | null => /; did you mean "([^"]+)"\?/.exec(message)?.[1] ?? null;

it('the places are valid configs', () => {
  for (const place of places) expect(messageOf(place), JSON.stringify(place)).toBeNull();
});

const rows = aliasTable.filter(({ means, isOwn }) => means !== undefined && isOwn !== true);

describe.each(rows.map((row) => [row.words.join(', '), row] as const))('%s', (_, { words, means = [] }) => {
  it.each(words)('%s points to what it means, and the config that follows is accepted', (word) => {
    let tried = 0;
    for (const meant of means) {
      for (const place of placesOf(meant)) {
        for (const wrong of replaced(place, meant, word)) {
          const message = messageOf(wrong);
          // A free text, as a file's name, or a word that has another meaning in this place.
          if (message === null || !message.includes(word)) continue;
          const advice = advised(message);
          expect(advice, `${message} in ${JSON.stringify(wrong)}`).not.toBeNull();
          const followed = [...replaced(wrong, word, advice!)].map(messageOf);
          expect(followed, `${message} in ${JSON.stringify(wrong)}`).toContain(null);
          tried += 1;
        }
      }
    }
    expect(tried, `places of ${means.join(', ')}`).toBeGreaterThan(0);
  });
});

const spellings: readonly (readonly [place: Json, from: string, word: string])[] = [
  [places[0]!, 'batch', 'batch_size'],
  [places[0]!, 'batch', 'batchSize'],
  [places[0]!, 'learningRate', 'lr'],
  [places[0]!, 'learningRate', 'learning_rate'],
  [places[0]!, 'meanSquaredError', 'mse'],
  [places[0]!, 'units', 'out_features'],
  [places[2]!, 'weightDecay', 'weight_decay'],
  [places[2]!, 'adam', 'Adam'],
  [places[8]!, 'softmaxCrossEntropy', 'categorical_crossentropy'],
  [places[9]!, 'sigmoidCrossEntropy', 'binary_crossentropy'],
  [places[12]!, 'kernel', 'kernel_size'],
  [places[12]!, 'kernel', 'kernelSize'],
  [places[12]!, 'filters', 'out_channels'],
  [places[12]!, 'batchNorm', 'batch_norm'],
  [places[12]!, 'batchNorm', 'BatchNormalization'],
  [places[12]!, 'conv2d', 'Conv2D'],
];
it.each(spellings)('in %o: %s, also as %s', (place, from, word) => {
  const [wrong] = replaced(place, from, word);
  expect(advised(messageOf(wrong)!)).toBe(from);
});

it.each(aliasTable.filter(({ isOwn }) => isOwn === true).flatMap(({ words }) => words))(
  '%s is nothing else',
  (word) => {
    for (const key of ['relu', 'adam', 'conv2d', 'sigmoid'])
      for (const place of places)
        for (const wrong of replaced(place, key, word)) {
          const message = messageOf(wrong);
          // Where there is such a thing by now, it is taken, or named as it is written.
          const advice = message === null ? null : advised(message);
          expect(
            advice === null ||
              plain(advice) === word ||
              aliasTable.some(({ words, means }) => words.includes(word) && means?.includes(advice)),
          ).toBe(true);
        }
  },
);

const advice: readonly (readonly [wrong: Json, says: string, right: Json])[] = [
  [
    { ...base, model: layersOf({ type: 'flatten' }, { ...dense, activation: 'relu' }) },
    'model.layers[1].activation: unknown key; an activation is a layer of its own, behind this one: { "type": "relu" }',
    { ...base, model: layersOf({ type: 'flatten' }, dense, { type: 'relu' }) },
  ],
  [
    { ...base, optimizer: { type: 'sgd', momentum: 0.9 } },
    'optimizer.momentum: unknown key; use { "type": "momentum" }, which has it',
    { ...base, optimizer: { type: 'momentum', momentum: 0.9 } },
  ],
  [
    { ...base, optimizer: { type: 'sgd', nesterov: true } },
    'optimizer.nesterov: unknown key; use { "type": "nesterov" }',
    { ...base, optimizer: { type: 'nesterov' } },
  ],
  [
    { ...base, optimizer: { type: 'adam', betas: [0.9, 0.99] } },
    'optimizer.betas: unknown key; give "beta1" and "beta2"',
    { ...base, optimizer: { type: 'adam', beta1: 0.9, beta2: 0.99 } },
  ],
  [
    { ...base, model: layersOf({ type: 'flatten' }, { ...dense, dropout: 0.5 }) },
    'model.layers[1].dropout: unknown key; dropout is a layer of its own, behind this one: { "type": "dropout" }',
    { ...base, model: layersOf({ type: 'flatten' }, dense, { type: 'dropout' }) },
  ],
  [
    { ...base, model: layersOf({ type: 'flatten' }, { ...dense, batch_norm: true }) },
    'model.layers[1].batch_norm: unknown key; batch norm is a layer of its own, behind this one: { "type": "batchNorm" }',
    { ...base, model: layersOf({ type: 'flatten' }, dense, { type: 'batchNorm' }) },
  ],
];
it.each(advice)('%o is told what to write', (wrong, says, right) => {
  expect(messageOf(wrong)).toBe(`config: ${says}`);
  expect(messageOf(right)).toBeNull();
});
it('every row with advice is tried', () => {
  const told = aliasTable.flatMap(({ advice }) => advice ?? []);
  for (const each of told)
    expect(
      advice.some(([, says]) => says.endsWith(each)),
      each,
    ).toBe(true);
});

it('the table says each word once in a place, as `plain` leaves it', () => {
  for (const { words } of aliasTable) {
    expect(words.map(plain)).toEqual(words);
    expect(new Set(words).size).toBe(words.length);
  }
});
