// A model that goes bad ends its run in one way: whatever goes bad (a sample, the learning rate, the state), and however many
// workers and threads compute, the error is the one of a run in a single process. LOCKSTEP_SEED draws other runs.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ConfigInput, LockstepError, train } from '../../index.ts';
import { Chance } from '../fuzz/mutations.ts';
import { randomSeed as seed } from '../support/seed.ts';
import { temporaryDirectory } from './command-line.ts';

const chance = new Chance(seed);
const directory = temporaryDirectory();
afterAll(() => directory.remove());

const rows = 48;
const features = ['a', 'b', 'c'];

/** Plain rows, of which one in `bad` is huge. */
function csvOf(count: number, bad: { readonly row: number; readonly exponent: number } | null): string {
  const lines = Array.from({ length: count }, (_, row) => {
    const scale = row === bad?.row ? 10 ** bad.exponent : 1;
    return [...features, 'y'].map((_name, i) => (((row * 7 + i * 3) % 11) - 5) * scale).join(',');
  });
  return [[...features, 'y'].join(','), ...lines].join('\n');
}

const between = (least: number, most: number): number => least + chance.below(most - least + 1);

/** What goes bad, and when: in a shard of some step, in an update, or in held-out samples. */
function drawConfig(name: string): ConfigInput {
  const what = chance.pick(['sample', 'sample', 'rate', 'rate', 'rate', 'heldOut'] as const);
  const exponentOf = (isBad: boolean) =>
    isBad ? { row: chance.below(rows), exponent: between(16, 37) } : null;
  writeFileSync(join(directory.path, `${name}.csv`), csvOf(rows, exponentOf(what === 'sample')));
  writeFileSync(join(directory.path, `${name}-test.csv`), csvOf(rows, exponentOf(what === 'heldOut')));
  const learningRate =
    what === 'rate'
      ? // Grows until a step breaks; float32 holds it to the end, since a rate that overflows is refused.
        ({
          type: 'exponential',
          initial: 0.01,
          decay: 10 ** between(20, 38),
          every: Math.ceil(rows / 2) + 4,
        } as const)
      : 0.01;
  return {
    name,
    data: { kind: 'csv', train: `${name}.csv`, test: `${name}-test.csv`, target: 'y', scale: 'none' },
    model: {
      input: [3],
      layers: [
        { type: 'dense', units: 5 },
        ...(chance.below(2) === 0 ? [{ type: 'batchNorm' } as const] : []),
        { type: 'relu' },
        { type: 'dense', units: 1 },
      ],
    },
    loss: 'meanSquaredError',
    optimizer: { type: chance.pick(['sgd', 'momentum', 'adam'] as const), learningRate },
    ...(chance.below(2) === 0 ? { clipNorm: 1 } : {}),
    batch: between(8, 17),
    epochs: 4,
    shards: between(4, 9),
    seed: between(1, 1e6),
    checkpoint: { everySteps: between(1, 4) },
    evaluate: what === 'heldOut' ? { everySteps: between(1, 4) } : { everyEpochs: 1 },
  };
}

/** How the run ends. */
async function endOf(config: ConfigInput, workers: number, threads: number): Promise<string> {
  const out = join(directory.path, `${config.name}-${workers}`);
  try {
    await train(config, { workers, threads, data: directory.path, out });
    return 'finite';
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return `exit code ${error.exitCode}, ${error.code}: ${error.message}`;
  }
}

const runs: { readonly config: ConfigInput; readonly alone: string; readonly threads: readonly number[] }[] =
  [];

beforeAll(async () => {
  for (let drawn = 0; runs.length < 10; drawn += 1) {
    expect(drawn, `seed ${seed}`).toBeLessThan(200);
    const config = drawConfig(`run-${drawn}`);
    const alone = await endOf(config, 0, 1);
    if (alone !== 'finite') runs.push({ config, alone, threads: [1, 2, 3, 4].map(() => between(1, 2)) });
  }
});

it.each(Array.from({ length: 10 }, (_, run) => run))(`run %i of seed ${seed}`, async (run) => {
  const { config, alone, threads } = runs[run]!;
  expect(alone).toMatch(/^exit code 1, LOCKSTEP_NOT_FINITE: (?=.*not finite)(?=.*(in|after) step \d+)/);
  // At the same time: they disturb each other, so that nothing is as fast as in the run before.
  const ends = await Promise.all(threads.map((each, i) => endOf(config, i + 1, each)));
  for (const [i, end] of ends.entries())
    expect(end, `${i + 1} workers of ${JSON.stringify(config)}`).toBe(alone);
});
