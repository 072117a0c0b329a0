// Every config that is shipped is valid: the examples and the workloads of the bench.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfigFile } from '../../../src/config/load.ts';
import { buildModel } from '../../../src/nn/build.ts';

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
