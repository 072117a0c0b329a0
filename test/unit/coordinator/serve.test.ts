// Going on from a checkpoint: only with the config and the data set that it was made with.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openRun } from '../../../coordinator/serve.ts';
import { writeCheckpoint } from '../../../src/checkpoint/store.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import type { RunConfig } from '../../../src/config/schema.ts';
import { loadDataset } from '../../../src/data/load.ts';

const config = parseConfig(
  {
    data: { kind: 'digits', train: 40, test: 0 },
    model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 12 }] },
    loss: 'softmaxCrossEntropy',
    optimizer: { type: 'sgd', learningRate: 0.1 },
    batch: 20,
    epochs: 2,
  },
  'test.json',
);
const dataset = await loadDataset(config.data, { directory: '.' });

let out = '';
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'lockstep-resume-'));
});
afterEach(() => rmSync(out, { recursive: true }));

const writeAt = (step: number, datasetSha256 = dataset.sha256, of: RunConfig = config): Promise<string> =>
  writeCheckpoint(out, {
    step,
    seed: of.seed,
    config: of,
    fingerprint: 'f'.repeat(64),
    datasetSha256,
    parameters: [],
    statistics: [],
    slots: [],
    metrics: {},
    previousSha256: null,
  });
const resume = () =>
  openRun({ config, dataset, out, resume: true, workers: 0, stopAfterStep: undefined, onEvent: () => {} });

it('goes on with the same config and data', async () => {
  await writeAt(3);
  await expect(resume()).resolves.toBeDefined();
});

it('refuses another data set, naming both', async () => {
  await writeAt(3, 'd'.repeat(64));
  await expect(resume()).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
    message:
      `the checkpoint in ${out} was trained on a data set of SHA-256 dddddddddddd, but this one has ` +
      `${dataset.sha256.slice(0, 12)}; resume with the same data, or train into another --out`,
  });
});

it('refuses another config, naming what differs', async () => {
  await writeAt(3, dataset.sha256, { ...config, batch: 10 });
  await expect(resume()).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
    message: expect.stringContaining('was made with another "batch"'),
  });
});

it('refuses a step behind the end of the run', async () => {
  await writeAt(5);
  await expect(resume()).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
    message: 'the checkpoint is at step 5, behind step 4, where this run is to end',
  });
});
