// Finding the first tensor that went bad, after a loss that is not finite.

import { describe, expect, it } from 'vitest';
import { searchNotFinite } from '../../../src/engine/diagnose.ts';
import { StepSchedule } from '../../../src/engine/schedule.ts';
import { referenceBackend } from '../../../src/kernels/reference/backend.ts';
import { cnn } from './jobs.ts';
import { classSamples } from './samples.ts';
import { prepare, World } from './world.ts';

const backend = referenceBackend(32);
const schedule = new StepSchedule({ ...cnn, samples: 45, optimizer: prepare(cnn).optimizer });

function worldOf(spoil: (world: World, inputs: Float32Array) => void): { world: World; find: () => unknown } {
  const splits = classSamples(45, 72, 3);
  const world = new World(cnn, [0, 8], backend, splits);
  spoil(world, splits.train.inputs);
  world.step(schedule.at(1));
  const find = (): unknown => {
    const search = searchNotFinite(world.workers[0]!.memory, backend, splits, 0);
    for (;;) {
      const { done, value } = search.next();
      if (done === true) return value;
    }
  };
  return { world, find };
}

describe('the first tensor that went bad', () => {
  it('is none where all is well', () => {
    expect(worldOf(() => {}).find()).toBeNull();
  });

  it('is an input, by its sample', () => {
    const sample = schedule.at(1).sampleIds[7]!;
    const { find } = worldOf((_, inputs) => {
      inputs[sample * 72 + 5] = Number.NaN;
    });
    expect(find()).toEqual({ tensor: 'inputs', sample });
  });

  it('is a parameter, by its name', () => {
    const { find } = worldOf((world) => {
      const { memory } = world.workers[0]!;
      memory.parameters[memory.compiled.parameters.find(({ name }) => name === 'dense1.bias')!.offset] =
        Infinity;
    });
    expect(find()).toEqual({ tensor: 'parameter dense1.bias', sample: null });
  });

  it('is the layer whose output overflows', () => {
    const { world, find } = worldOf((spoilt) => {
      const { memory } = spoilt.workers[0]!;
      const { offset, size } = memory.compiled.parameters.find(({ name }) => name === 'dense1.weight')!;
      memory.parameters.fill(3e38, offset, offset + size);
    });
    const before = world.states()[0];
    expect(find()).toMatchObject({ tensor: 'dense1' });
    expect(world.states()[0]).toEqual(before);
  });

  it('is the statistics of a batch norm whose variance overflows', () => {
    const { world, find } = worldOf((spoilt) => {
      const { memory } = spoilt.workers[0]!;
      const { offset, size } = memory.compiled.parameters.find(({ name }) => name === 'conv1.weight')!;
      memory.parameters.fill(1e30, offset, offset + size);
    });
    const { sums } = world.step(schedule.at(1));
    expect(Number.isFinite(sums[0])).toBe(false);
    expect(find()).toEqual({ tensor: 'batchNorm1.leaves', sample: null });
  });
});
