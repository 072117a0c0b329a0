// What step t does, and how the sums of shards become reports.

import { describe, expect, it } from 'vitest';
import { meanReports, shardNotFinite, totalReports } from '../../../src/engine/reports.ts';
import { evaluationPlans, StepSchedule } from '../../../src/engine/schedule.ts';
import { optimizerSchema } from '../../../src/optim/optimizer.ts';

const optimizer = optimizerSchema.parse({
  type: 'adam',
  learningRate: { type: 'step', initial: 1, factor: 0.5, every: 4 },
});

describe('the schedule', () => {
  it('visits every sample once an epoch, the ragged last batch included, each epoch in another order', () => {
    const schedule = new StepSchedule({ samples: 25, batch: 8, seed: 1, optimizer });
    const epochs = [1, 5].map((first) => {
      const steps = Array.from({ length: 4 }, (_, i) => schedule.at(first + i));
      expect(steps.map(({ sampleIds }) => sampleIds.length)).toEqual([8, 8, 8, 1]);
      expect(steps.map(({ endsEpoch }) => endsEpoch)).toEqual([false, false, false, true]);
      expect(new Set(steps.map(({ epoch }) => epoch)).size).toBe(1);
      return steps.flatMap(({ sampleIds }) => Array.from(sampleIds));
    });
    for (const ids of epochs)
      expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, i) => i));
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(schedule.stepsPerEpoch).toBe(4);
  });

  it('is a function of the step alone: asked in any order it says the same', () => {
    const options = { samples: 25, batch: 8, seed: 1, optimizer };
    const [forwards, jumping] = [new StepSchedule(options), new StepSchedule(options)];
    const inOrder = Array.from({ length: 9 }, (_, i) => forwards.at(i + 1));
    for (const step of [9, 2, 5, 1]) expect(jumping.at(step)).toEqual(inOrder[step - 1]);
    expect(inOrder.map(({ learningRate }) => learningRate)).toEqual([1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]);
    expect(inOrder[0]!.biasCorrections[0]).toBe(1 - Math.fround(0.9));
  });

  it('evaluates the samples in their own order', () => {
    expect(evaluationPlans(5, 2).map(({ sampleIds }) => Array.from(sampleIds as Uint32Array))).toEqual([
      [0, 1],
      [2, 3],
      [4],
    ]);
  });
});

describe('reports', () => {
  it('are added in the tree, each sum rounded to float32', () => {
    // ((1e8 + 3) + (3 + 3)) rounds differently from a running sum.
    const sums = Float32Array.from([1e8, 3, 3, 3]);
    const tree = Math.fround(Math.fround(1e8 + 3) + 6);
    expect(totalReports(sums, 4)).toEqual([tree]);
    expect(tree).not.toBe([3, 3, 3].reduce((sum, value) => Math.fround(sum + value), Math.fround(1e8)));
  });

  it('are means over the samples by name', () => {
    expect(meanReports(Float32Array.from([2, 1, 4, 0, 6, 1]), 3, 4, ['loss', 'accuracy'])).toEqual({
      loss: 3,
      accuracy: 0.5,
    });
  });

  it('name the first shard whose loss is not finite', () => {
    expect(shardNotFinite(Float32Array.from([1, 0, Number.NaN, 0, Infinity, 0]), 3)).toBe(1);
    expect(shardNotFinite(Float32Array.from([1, Number.NaN]), 1)).toBeNull();
  });
});
