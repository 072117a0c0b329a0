// Initial values: their distributions, and what they depend on.

import { describe, expect, it } from 'vitest';
import type { Initializer } from '../../../src/ir/graph.ts';
import { initialValues } from '../../../src/nn/initialize.ts';
import { initializerNames, resolveInitializer } from '../../../src/nn/initializers.ts';

const gaussian: Initializer = { kind: 'gaussian', mean: 1, deviation: 2 };
const uniform: Initializer = { kind: 'uniform', low: -1, high: 3 };
const count = 100_003;

function draw(initializer: Initializer, seed = 7, size = count): Float32Array {
  return initialValues([{ shape: [size], initializer }], seed)[0]!;
}

function moments(values: Float32Array): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
}

describe('initialValues', () => {
  it('draws the gaussian that was asked for', () => {
    const values = draw(gaussian);
    const { mean, variance } = moments(values);
    expect(Math.abs(mean - 1)).toBeLessThan(0.03);
    expect(Math.abs(variance - 4)).toBeLessThan(0.08);
    const within = values.filter((value) => Math.abs(value - 1) < 2).length / count;
    expect(Math.abs(within - 0.6827)).toBeLessThan(0.006);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it('draws the uniform that was asked for', () => {
    const values = draw(uniform);
    const { mean, variance } = moments(values);
    expect(Math.abs(mean - 1)).toBeLessThan(0.02);
    expect(Math.abs(variance - 16 / 12)).toBeLessThan(0.02);
    expect(Math.min(...values.subarray(0, 50_000))).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...values.subarray(0, 50_000))).toBeLessThanOrEqual(3);
  });

  it('depends on seed and place of the tensor, and on nothing else', () => {
    const declaration = { shape: [5, 5], initializer: gaussian };
    const [first, second] = initialValues([declaration, declaration], 1);
    expect(initialValues([declaration], 1)[0]).toEqual(first);
    expect(second).not.toEqual(first);
    expect(initialValues([declaration], 2)[0]).not.toEqual(first);
  });

  it('gives an element the same value whatever the size of its tensor', () => {
    expect(draw(gaussian, 7, 6)).toEqual(draw(gaussian, 7, 8).subarray(0, 6));
  });

  it('fills constants', () => {
    expect(draw({ kind: 'zeros' }, 1, 3)).toEqual(new Float32Array(3));
    expect(draw({ kind: 'ones' }, 1, 3)).toEqual(new Float32Array(3).fill(1));
  });
});

describe('initializers by name', () => {
  /** Variance of each at fanIn 30, fanOut 70. */
  const variances: Record<(typeof initializerNames)[number], number> = {
    zeros: 0,
    uniform: 0.05 ** 2 / 3,
    gaussian: 0.05 ** 2,
    gaussianFanIn: 1 / 30,
    lecun: 1 / 30,
    lecunUniform: 1 / 30,
    glorot: 2 / 100,
    glorotUniform: 2 / 100,
    he: 2 / 30,
    heUniform: 2 / 30,
  };

  it.each(initializerNames)('%s has its variance', (name) => {
    const initializer = resolveInitializer(name, { fanIn: 30, fanOut: 70 });
    const { variance } = moments(draw(initializer));
    expect(Math.abs(variance - variances[name])).toBeLessThanOrEqual(0.02 * variances[name]);
  });

  it('takes given bounds and deviations', () => {
    const fan = { fanIn: 1, fanOut: 1 };
    expect(resolveInitializer({ type: 'uniform', low: 0, high: 2 }, fan)).toEqual({
      kind: 'uniform',
      low: 0,
      high: 2,
    });
    expect(resolveInitializer({ type: 'gaussian', deviation: 3 }, fan)).toEqual({
      kind: 'gaussian',
      mean: 0,
      deviation: 3,
    });
  });
});
