// Every config that is shipped is valid: the examples and the workloads of the bench.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfigFile } from '../../../src/config/load.ts';
import { cadenceOf } from '../../../src/engine/cadence.ts';
import { buildModel } from '../../../src/nn/build.ts';
import { firstStepWithoutRate, learningRateAt, peakRate } from '../../../src/optim/schedule.ts';

const root = new URL('../../../', import.meta.url).pathname;
const configs = ['examples', 'bench/workloads'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(folder, name)),
);

test.each(configs)('%s', async (path) => {
  const config = await loadConfigFile(join(root, path));
  expect(path).toContain(config.name);
  expect(buildModel(config.model, config).parameters.length).toBeGreaterThan(0);
});

/** Training samples where the config does not give their number: those of MNIST's files, all of them and a part. */
const sampleCounts: Readonly<Record<string, readonly number[]>> = {
  'mnist-cnn': [60_000, 22_000],
  'csv-regression': [1200],
};

test.each(configs.filter((path) => path.startsWith('examples')))(
  '%s has a learning rate up to its last step',
  async (path) => {
    const config = await loadConfigFile(join(root, path));
    const samples =
      'train' in config.data && typeof config.data.train === 'number' ? [config.data.train] : undefined;
    for (const train of samples ?? sampleCounts[config.name]!) {
      const { steps } = cadenceOf(config, { train, test: 0 });
      const { learningRate } = config.optimizer;
      const last = learningRateAt(learningRate, steps, steps);
      expect(firstStepWithoutRate(learningRate, steps), `${train} samples`).toBeNull();
      // A decay that is cut off while it is high would be as wrong.
      if (typeof learningRate !== 'number')
        expect(last).toBeLessThan(0.1 * peakRate(learningRate, steps).rate);
    }
  },
);
