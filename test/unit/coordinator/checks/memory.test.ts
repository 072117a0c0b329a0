// The memory of a whole run: what its workers and its coordinator take together, and how it is refused.

import { describe, expect, it } from 'vitest';
import { exceedsMemory, needsOf, workerPrograms } from '../../../../coordinator/checks/memory.ts';
import { factsOf } from './facts.ts';

const wide = {
  layers: [
    { type: 'dense', units: 1000 },
    { type: 'dense', units: 1000 },
  ] as const,
};
const adam = { optimizer: { type: 'adam' } };
/** 4 x 1000, 1000 x 1000, 1000 x 3 and biases, each tensor rounded up to 16 floats. */
const parameters = 4 * (4000 + 1008 + 1_000_000 + 1008 + 3008 + 16);

describe('a run', () => {
  it.each([
    [0, 1, { gradients: 1, 'optimizer slots': 2, 'checkpoint copies': 6, 'data set': 0 }],
    [2, 2, { gradients: 4, 'optimizer slots': 4, 'checkpoint copies': 6, 'data set': 2 * 24 * 5 * 4 }],
  ] as const)('needs what its %i workers need', async (workers, count, times) => {
    const { plan } = await factsOf({ ...wide, workers, config: adam });
    const needs = needsOf(plan, workerPrograms(plan, 2));
    expect(needs.parameters).toBe(count * parameters);
    expect(needs.gradients).toBe(times.gradients * parameters);
    expect(needs['optimizer slots']).toBe(times['optimizer slots'] * parameters);
    expect(needs['checkpoint copies']).toBe(times['checkpoint copies'] * parameters);
    expect(needs['data set'] ?? 0).toBe(times['data set']);
  });

  it('whose workers are elsewhere needs memory for a checkpoint here', async () => {
    const { plan } = await factsOf({ ...wide, workers: 4, config: adam });
    expect(needsOf(plan, [])).toEqual({ 'checkpoint copies': 3 * parameters });
  });

  it('that does not fit is an error, and one that nearly does a warning', async () => {
    const find = async (availableBytes: number) =>
      exceedsMemory(await factsOf({ ...wide, config: adam, machine: { availableBytes } }));
    const { plan } = await factsOf({ ...wide, config: adam });
    const needed = Object.values(needsOf(plan, workerPrograms(plan, 1))).reduce((a, b) => a + b, 0);
    expect(await find(needed)).toBeNull();
    expect(await find(needed * 0.95)).toMatchObject({ is: 'warning' });
    expect(await find(needed * 0.5)).toMatchObject({ is: 'error', code: 'LOCKSTEP_OUT_OF_MEMORY' });
  });

  it('whose arena is longer than an array can be is an error', async () => {
    const found = exceedsMemory(await factsOf({ ...wide, machine: { bufferBytesMax: 1e6 } }));
    expect(found).toMatchObject({ is: 'error', message: expect.stringContaining('arrays of at most 1 MB') });
  });
});
