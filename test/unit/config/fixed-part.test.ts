// How the first difference between the config of a run and another is told.

import { expect, it } from 'vitest';
import { changeOfFixed, changeText } from '../../../src/config/fixed-part.ts';

const rate = { type: 'step', initial: 0.1, factor: 0.5, every: 1_000 };
const config = { batch: 20, optimizer: { type: 'sgd', learningRate: rate }, model: { layers: ['a', 'b'] } };

it.each([
  ['a number', { ...config, batch: 10 }, 'with batch 20, but now it is 10'],
  [
    'a value deep inside',
    { ...config, optimizer: { type: 'sgd', learningRate: { ...rate, initial: 0.2 } } },
    'with optimizer.learningRate.initial 0.1, but now it is 0.2',
  ],
  [
    'another form',
    { ...config, optimizer: { type: 'sgd', learningRate: 0.3 } },
    'with optimizer.learningRate {"type":"step","initial":0.1,"factor":0.5,"every":1000}, but now it is 0.3',
  ],
  ['more than there was', { ...config, clipNorm: 1 }, 'without clipNorm, but now it is 1'],
  [
    'less than there was',
    { ...config, model: { layers: ['a'] } },
    'with model.layers[1] "b", but now it is left out',
  ],
] as const)('tells %s', (_, now, text) => {
  const change = changeOfFixed(config, now);
  expect(change === null ? null : changeText(change)).toBe(text);
});

it('cuts long values, and takes anything for a config', () => {
  expect(changeOfFixed(undefined, { batch: 1 })).toEqual({ path: 'batch', before: null, now: '1' });
  expect(changeOfFixed({ data: 'x'.repeat(100) }, {})?.before).toBe(`"${'x'.repeat(56)}...`);
});

it('finds nothing where only the length of a run is another', () => {
  expect(changeOfFixed({ ...config, epochs: 1 }, { ...config, epochs: 2 })).toBeNull();
});

it('has the length of a run where the learning rate ends with it', () => {
  const spanning = { ...config, optimizer: { type: 'sgd', learningRate: { type: 'cosine', peak: 1 } } };
  const change = changeOfFixed({ ...spanning, epochs: 1 }, { ...spanning, epochs: 2 });
  expect(change && changeText(change)).toBe('with epochs 1, but now it is 2');
  expect(changeOfFixed({ ...spanning, epochs: 1, keep: 3 }, { ...spanning, epochs: 1, keep: 4 })).toBeNull();
});
