// Learning rates at chosen steps of each schedule.

import { describe, expect, it } from 'vitest';
import { integerPower } from '../../../src/optim/power.ts';
import { learningRateAt, learningRateSchema } from '../../../src/optim/schedule.ts';

const cosine = { type: 'cosine', peak: 1, warmup: 3, total: 11, final: 0.1 };

describe('learningRateAt', () => {
  it.each([
    { schedule: 0.5, at: { 1: 0.5, 1000: 0.5 } },
    { schedule: { type: 'constant', value: 0.2 }, at: { 1: 0.2, 7: 0.2 } },
    {
      schedule: { type: 'exponential', initial: 0.8, decay: 0.25, every: 10 },
      at: { 1: 0.8, 6: 0.4, 11: 0.2, 21: 0.05 },
    },
    {
      schedule: { type: 'step', initial: 0.8, factor: 0.5, every: 3 },
      at: { 1: 0.8, 3: 0.8, 4: 0.4, 6: 0.4, 7: 0.2 },
    },
    { schedule: cosine, at: { 1: 0.25, 2: 0.5, 3: 0.75, 4: 1, 8: 0.55, 12: 0.1, 500: 0.1 } },
    { schedule: { ...cosine, warmup: 0, total: 4, final: 0 }, at: { 1: 1, 3: 0.5, 5: 0 } },
  ])('$schedule', ({ schedule, at }) => {
    const learningRate = learningRateSchema.parse(schedule);
    for (const [step, expected] of Object.entries(at)) {
      expect(learningRateAt(learningRate, Number(step))).toBeCloseTo(expected, 12);
    }
  });
});

describe('integerPower', () => {
  it.each([
    [2, 10, 1024],
    [3, 0, 1],
    [0.5, 3, 0.125],
    [-2, 5, -32],
  ])('%d to the %d', (base, exponent, expected) => {
    expect(integerPower(base, exponent)).toBe(expected);
  });
});
