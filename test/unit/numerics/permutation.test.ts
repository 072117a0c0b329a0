// The sampler: every epoch visits every sample once, in an order of its own, whatever the batch.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchRange, epochOrder, stepsPerEpoch } from '../../../src/numerics/permutation.ts';

describe('epochOrder', () => {
  it('is a permutation', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(1000), fc.integer({ min: 0, max: 300 }), (seed, epoch, samples) => {
        const sorted = epochOrder(seed, epoch, samples).sort();
        expect([...sorted]).toEqual(Array.from({ length: samples }, (_, i) => i));
      }),
    );
  });

  it('depends on seed and epoch', () => {
    const orders = [epochOrder(1, 0, 50), epochOrder(1, 1, 50), epochOrder(2, 0, 50)].map(String);
    expect(new Set(orders).size).toBe(3);
    expect(String(epochOrder(1, 0, 50))).toBe(orders[0]);
  });

  it('puts every sample everywhere equally often', () => {
    const counts = new Int32Array(36);
    const epochs = 6000;
    for (let epoch = 0; epoch < epochs; epoch += 1) {
      epochOrder(7, epoch, 6).forEach((sample, place) => {
        counts[sample * 6 + place]! += 1;
      });
    }
    const expected = epochs / 6;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(53); // 25 degrees of freedom, p = 0.001
  });
});

describe('batchRange', () => {
  it('covers every position of every epoch once, in order', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 70 }), (samples, batch) => {
        const steps = stepsPerEpoch(samples, batch);
        for (const epoch of [0, 1, 3]) {
          let next = 0;
          for (let step = 0; step < steps; step += 1) {
            const range = batchRange(epoch * steps + step, samples, batch);
            expect([range.epoch, range.from]).toEqual([epoch, next]);
            expect(range.to - range.from).toBeGreaterThan(0);
            next = range.to;
          }
          expect(next).toBe(samples);
        }
      }),
    );
  });

  it('refuses an empty epoch', () => {
    expect(() => stepsPerEpoch(0, 4)).toThrow(/an epoch needs samples/);
  });
});
