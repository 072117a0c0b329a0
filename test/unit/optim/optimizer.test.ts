// Optimizers as data: defaults, what their kernels are given, decay by role, bias corrections.

import { describe, expect, it } from 'vitest';
import { kernels } from '../../../src/kernels/kernel-list.ts';
import {
  biasCorrections,
  decayOf,
  optimizerSchema,
  optimizerTable,
  optimizerTypes,
  updateCall,
} from '../../../src/optim/optimizer.ts';

describe('optimizers', () => {
  it.each(optimizerTypes)('%s fills the arguments of its kernel', (type) => {
    const optimizer = optimizerSchema.parse({ type });
    const { kernel, scalars } = updateCall(optimizer);
    const compilers = ['w', 'g', 'count', 'clip', 'decay', 'decoupled'];
    const given = [...compilers, ...optimizerTable[type].slots, ...Object.keys(scalars)];
    expect(given.sort()).toEqual(Object.keys(kernels[kernel].args).sort());
  });

  it('have the usual defaults', () => {
    expect(optimizerSchema.parse({ type: 'adamW' })).toEqual({
      type: 'adamW',
      learningRate: 0.001,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0.01,
      l2: 0,
      decayed: 'weights',
    });
    expect(optimizerSchema.parse({ type: 'nesterov' })).toMatchObject({
      learningRate: 0.01,
      momentum: 0.9,
      weightDecay: 0,
    });
  });

  it.each([
    { type: 'rmsprop' },
    { type: 'sgd', momentum: 0.9 },
    { type: 'momentum', momentum: 1 },
    { type: 'adam', epsilon: 0 },
    { type: 'adam', learningRate: -1 },
    { type: 'sgd', learningRate: { type: 'cosine', peak: 1, warmup: 10, total: 10 } },
  ])('refuse %j', (optimizer) => {
    expect(optimizerSchema.safeParse(optimizer).success).toBe(false);
  });

  it('decay weights alone unless told otherwise', () => {
    const weights = optimizerSchema.parse({ type: 'sgd', l2: 0.1, weightDecay: 0.2 });
    expect(decayOf(weights, 'weight')).toEqual({ decay: 0.1, decoupled: 0.2 });
    expect(decayOf(weights, 'bias')).toEqual({ decay: 0, decoupled: 0 });
    expect(decayOf({ ...weights, decayed: 'all' }, 'gamma')).toEqual({ decay: 0.1, decoupled: 0.2 });
  });
});

describe('bias corrections', () => {
  const adam = optimizerSchema.parse({ type: 'adam' });

  it('are what the moments lack, with betas as the kernels know them', () => {
    expect(biasCorrections(adam, 1)).toEqual([1 - Math.fround(0.9), 1 - Math.fround(0.999)]);
    const [first, second] = biasCorrections(adam, 1000);
    expect(first).toBeCloseTo(1, 12);
    expect(second).toBeCloseTo(1 - 0.999 ** 1000, 4);
  });

  it('are one without moments', () => {
    expect(biasCorrections(optimizerSchema.parse({ type: 'momentum' }), 3)).toEqual([1, 1]);
  });
});
