// Batch norm over one value a channel: told, and told right, for every batch, number of shards and of samples.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalizesOneValue } from '../../../../coordinator/checks/one-value-norm.ts';
import { cadenceOf } from '../../../../src/engine/cadence.ts';
import { StepSchedule } from '../../../../src/engine/schedule.ts';
import { shardStart } from '../../../../src/numerics/tree.ts';
import { factsOf } from './facts.ts';

const shardNorm = { type: 'batchNorm', sync: 'shard' } as const;

describe('batch norm over one value', () => {
  it.each([
    [
      'of every shard of every step',
      { layers: [shardNorm], config: { batch: 8 } },
      'error',
      'batchNorm layer "batchNorm1" with sync "shard" normalises 1 sample of 1 position in every shard of every step (8 samples): ' +
        'its output is beta whatever its input, and no gradient passes, so that nothing in front of it learns; ' +
        'use a batch of at least 16 samples, fewer shards, or sync "global"',
    ],
    [
      'of some shards of every step, in two layers',
      { layers: [shardNorm, shardNorm], config: { batch: 12 } },
      'warning',
      'batchNorm layer "batchNorm1" with sync "shard" (and 1 other layer) normalises 1 sample of 1 position in 4 of the 8 shards of every step (12 samples): ' +
        'its output is beta whatever its input, and no gradient passes; use a batch of at least 16 samples, fewer shards, or sync "global"',
    ],
    [
      'of the last step',
      { samples: 35, layers: [shardNorm], config: { batch: 16 } },
      'warning',
      'batchNorm layer "batchNorm1" with sync "shard" normalises 1 sample of 1 position in every shard of the last step of each epoch (3 samples): ' +
        'its output is beta whatever its input, and no gradient passes; ' +
        'use a batch that leaves at least 16 samples for the last step, fewer shards, or sync "global"',
    ],
    [
      'of the last step, global',
      { samples: 33, layers: [{ type: 'batchNorm' }], config: { batch: 16 } },
      'warning',
      'batchNorm layer "batchNorm1" with sync "global" normalises 1 sample of 1 position in the last step of each epoch: ' +
        'its output is beta whatever its input, and no gradient passes; use a batch that leaves at least 2 samples for the last step',
    ],
    [
      'of every step, global',
      { layers: [{ type: 'batchNorm', name: 'n' }], config: { batch: 1 } },
      'error',
      'batchNorm layer "n" with sync "global" normalises 1 sample of 1 position in every step: ' +
        'its output is beta whatever its input, and no gradient passes, so that nothing in front of it learns; use a batch of at least 2 samples',
    ],
  ] as const)('%s', async (_, given, is, message) => {
    const found = normalizesOneValue(await factsOf(given));
    expect(found).toEqual(is === 'error' ? { is, code: 'LOCKSTEP_MODEL_INVALID', message } : { is, message });
  });

  it('is fine with several positions, and where the run ends before the last batch', async () => {
    const image = await factsOf({ shape: [2, 1, 3], layers: [shardNorm], config: { batch: 1 } });
    expect(normalizesOneValue(image)).toBeNull();
    const short = await factsOf({
      samples: 33,
      layers: [{ type: 'batchNorm' }],
      config: { batch: 16, steps: 2 },
    });
    expect(normalizesOneValue(short)).toBeNull();
  });

  it('agrees with the shards that the steps of a run really have', async () => {
    const small = fc.integer({ min: 1, max: 40 });
    const drawn = fc.record({
      samples: small,
      batch: small,
      shards: fc.integer({ min: 1, max: 12 }),
      steps: small,
      sync: fc.constantFrom('shard', 'global'),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ samples, batch, shards, steps, sync }) => {
        const facts = await factsOf({
          samples,
          layers: [{ type: 'batchNorm', sync }],
          config: { batch, shards, steps },
        });
        const { optimizer } = facts.plan.config;
        const schedule = new StepSchedule({ samples, batch, seed: 1, optimizer });
        const { steps: all } = cadenceOf(facts.plan.config, { train: samples, test: 0 });
        const groups = Array.from({ length: all }, (_, i) => {
          const n = schedule.at(i + 1).sampleIds.length;
          if (sync === 'global') return [n];
          return Array.from(
            { length: shards },
            (_, s) => shardStart(s + 1, n, shards) - shardStart(s, n, shards),
          );
        });
        const nonEmpty = groups.flat().filter((n) => n > 0);
        const single = nonEmpty.filter((n) => n === 1).length;
        const expected = single === 0 ? null : single === nonEmpty.length ? 'error' : 'warning';
        expect(normalizesOneValue(facts)?.is ?? null).toBe(expected);
      }),
      { numRuns: 300 },
    );
  });
});
