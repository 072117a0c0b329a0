// Going on from a checkpoint: only with the config and the data set that it was made with.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from '../../../coordinator/journal.ts';
import { identityOf } from '../../../coordinator/run-identity.ts';
import { openRun } from '../../../coordinator/serve.ts';
import { writeCheckpoint } from '../../../src/checkpoint/store.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import type { RunConfig } from '../../../src/config/schema.ts';
import { loadDataset } from '../../../src/data/load.ts';
import type { RunEvent } from '../../../src/engine/events.ts';

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

const sha256OfNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
let out = '';
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'lockstep-resume-'));
});
afterEach(() => rmSync(out, { recursive: true }));

const writeAt = (
  step: number,
  datasetSha256 = dataset.sha256,
  of: RunConfig = config,
  fitted = dataset.fitted,
): Promise<string> =>
  writeCheckpoint(out, {
    step,
    seed: of.seed,
    config: of,
    fingerprint: 'f'.repeat(64),
    datasetSha256,
    trainSha256: dataset.trainSha256,
    fitted,
    parameters: [],
    statistics: [],
    slots: [],
    metrics: {},
    previousSha256: null,
  });
const resume = () =>
  openRun({ config, dataset, out, resume: true, workers: 0, stopAfterStep: undefined, onEvent: () => {} });

const inOtherUnits = { ...dataset.fitted, inputs: [{ method: 'unit' as const, divisor: 1 }] };

it('does not go on where the samples are the same, but what was fitted on them is not', async () => {
  await writeAt(3, dataset.sha256, config, inOtherUnits);
  await expect(resume()).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
    message:
      `the checkpoint in ${out} was trained on a data set with other names of columns, or with values in other units; ` +
      'resume with the same data, or train into another --out',
  });
});

it('goes on with the same config and data', async () => {
  await writeAt(3);
  await expect(resume()).resolves.toMatchObject({ is: 'open' });
});

describe('a run at its end', () => {
  const events: RunEvent[] = [];
  const open = (more: object) =>
    openRun({
      ...{ config, dataset, out, resume: true, workers: 2, stopAfterStep: undefined },
      onEvent: (event) => events.push(event),
      ...more,
    });
  beforeEach(() => {
    events.length = 0;
  });

  it('is over, with the result of its checkpoint', async () => {
    const checkpoint = await writeAt(4);
    expect(await open({})).toEqual({
      is: 'over',
      result: { steps: 4, weightsSha256: sha256OfNothing, metrics: {}, checkpoint, stopped: false },
    });
    expect(events).toEqual([
      { event: 'notice', message: 'the run is finished already: all 4 steps are taken' },
    ]);
    expect(readdirSync(out)).not.toContain('coordinator.lock');
  });

  it('is over where it was to stop', async () => {
    await writeAt(3);
    expect(await open({ stopAfterStep: 3 })).toMatchObject({
      is: 'over',
      result: { steps: 3, stopped: true },
    });
    expect(events).toMatchObject([
      { message: 'step 3 is reached already; leave out --stop-after to go on to step 4' },
    ]);
  });

  it('waits for workers that may not know of its end', async () => {
    await writeAt(4);
    const journal = Journal.open(out);
    journal.begin(identityOf({ config, dataset }));
    journal.formed(1, ['a'], null);
    journal.close();
    const run = await open({ membersComeBack: true });
    if (run.is !== 'open') throw new Error('it is over');
    run.session.fail('LOCKSTEP_STOPPED', 'the test is over');
    await expect(run.session.result).rejects.toThrow('the test is over');
    const again = Journal.open(out);
    again.ended(4);
    again.close();
    expect(await open({ membersComeBack: true })).toMatchObject({ is: 'over' });
  });
});

it('says at the start which steps will change nothing, and what to do about it', async () => {
  const messages: string[] = [];
  const learningRate = { type: 'cosine', peak: 0.1, warmup: 0, total: 3, final: 0 } as const;
  const idle = { ...config, optimizer: { ...config.optimizer, learningRate } } as RunConfig;
  const open = async (resume: boolean, of: RunConfig) => {
    const onEvent = (event: RunEvent): void =>
      void messages.push(event.event === 'notice' ? event.message : '');
    const run = await openRun({
      config: of,
      dataset,
      out,
      resume,
      workers: 0,
      stopAfterStep: undefined,
      onEvent,
    });
    if (run.is === 'open') run.session.fail('LOCKSTEP_STOPPED', 'the test is over');
    await expect(run.is === 'open' && run.session.result).rejects.toThrow('the test is over');
  };
  await open(false, config);
  expect(messages).toEqual([]);
  await open(false, idle);
  await writeAt(3, dataset.sha256, idle);
  await open(true, { ...idle, epochs: 4 });
  expect(messages).toEqual([
    expect.stringMatching(/the run at step 4: the last step changes .* set optimizer.learningRate.total$/),
    expect.stringMatching(/the run at step 8: the last 5 steps change .* into another --out$/),
  ]);
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
    message: expect.stringContaining('was made with batch 10, but now it is 20'),
  });
});

it('refuses a step beyond the end of the run', async () => {
  await writeAt(5);
  await expect(resume()).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
    message: 'the checkpoint is at step 5, beyond step 4, where this run is to end',
  });
});

describe('a run without a checkpoint', () => {
  const numerics = { fingerprint: 'f'.repeat(64), kernelHashes: {}, backend: 'native', variant: 'avx2' };
  const begun = (identity = identityOf({ config, dataset })): void => {
    const journal = Journal.open(out);
    journal.begin(identity);
    journal.formed(1, ['a'], numerics);
    journal.close();
  };
  const layers = [...config.model.layers, { type: 'relu' }];
  const changed: readonly (readonly [string, object])[] = [
    [
      'with optimizer.learningRate 0.01, but now it is 0.1',
      { optimizer: { ...config.optimizer, learningRate: 0.01 } },
    ],
    ['with model.layers[2] {"type":"relu"}, but now it is left out', { model: { ...config.model, layers } }],
    ['with clipNorm 1, but now it is left out', { clipNorm: 1 }],
  ];

  it.each(changed)('begun %s, is not gone on with; under its own config it is', async (how, more) => {
    const own = { ...config, ...more } as RunConfig;
    begun(identityOf({ config: own, dataset }));
    const before = readFileSync(join(out, 'journal.ndjson'), 'utf8');
    await expect(resume()).rejects.toMatchObject({
      code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
      message: `the run in ${out} was begun ${how}; resume with the same config, or train into another --out`,
    });
    expect(readFileSync(join(out, 'journal.ndjson'), 'utf8')).toBe(before);
    const again = { ...{ config: own, dataset, out, resume: true, workers: 0 } };
    const opened = await openRun({ ...again, stopAfterStep: undefined, onEvent: () => {} });
    expect(opened.is).toBe('open');
  });

  it('is not gone on with on another data set', async () => {
    begun({ ...identityOf({ config, dataset }), datasetSha256: 'd'.repeat(64) });
    await expect(resume()).rejects.toMatchObject({
      code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
      message: expect.stringContaining('was begun on a data set of SHA-256 dddddddddddd, but this one has'),
    });
  });

  it('is not gone on with on the same samples with other names or units', async () => {
    begun(identityOf({ config, dataset: { ...dataset, fitted: inOtherUnits } }));
    await expect(resume()).rejects.toMatchObject({
      code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
      message: expect.stringContaining('was begun on a data set with other names of columns'),
    });
  });

  it('may last longer, and keep other checkpoints', async () => {
    begun(identityOf({ config: { ...config, epochs: 1, checkpoint: { keep: 1 } }, dataset }));
    await expect(resume()).resolves.toMatchObject({ is: 'open' });
  });

  it('is not gone on with where its journal does not say what it is, and nothing else does', async () => {
    writeFileSync(join(out, 'journal.ndjson'), '{"runId":"r"}\n{"generation":3,"workerIds":["a"]}\n');
    await expect(resume()).rejects.toMatchObject({
      code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
      message: expect.stringMatching(/journal.ndjson does not say with which config, data and kernels/),
    });
    await writeAt(3);
    await expect(resume()).resolves.toMatchObject({ is: 'open' });
  });

  const told: string[] = [];
  const resumeAndHear = () => {
    told.length = 0;
    const onEvent = (event: RunEvent): void => void (event.event === 'notice' && told.push(event.message));
    return openRun({ config, dataset, out, resume: true, workers: 0, stopAfterStep: undefined, onEvent });
  };
  /** As a crash in the middle of a save leaves it. */
  const unfinished = async (): Promise<string> => {
    const path = await writeAt(3);
    rmSync(path.replace('safetensors', 'json'));
    return path;
  };

  it('starts from its seed after a crash in its first save, and says so', async () => {
    begun();
    const path = await unfinished();
    await expect(resumeAndHear()).resolves.toMatchObject({ is: 'open' });
    expect(told).toEqual([
      `skipped a checkpoint: ${path}: was never finished: no .json lies beside it`,
      'no checkpoint of this run was finished: it starts from its seed',
    ]);
  });

  it.each([
    ['a finished one', (journal: Journal) => journal.kept(2)],
    ['its end', (journal: Journal) => journal.ended(4)],
  ])('but %s in its journal is not trained over', async (_, note) => {
    begun();
    const journal = Journal.open(out);
    note(journal);
    journal.formed(2, ['a'], null);
    journal.close();
    const path = await unfinished();
    await expect(resumeAndHear()).rejects.toMatchObject({
      code: 'LOCKSTEP_CHECKPOINT_INVALID',
      message: expect.stringContaining(`but there is none: ${path}: was never finished`),
    });
    expect(told).toEqual([]);
  });

  it('and without a membership leaves nothing to compare: it begins', async () => {
    writeFileSync(join(out, 'journal.ndjson'), '{"runId":"r"}\n');
    await expect(resume()).resolves.toMatchObject({ is: 'open' });
  });
});

it('refuses a checkpoint of other kernels than those of its journal', async () => {
  await writeAt(3);
  const journal = Journal.open(out);
  journal.begin(identityOf({ config, dataset }));
  const fingerprint = 'e'.repeat(64);
  journal.formed(1, ['a'], { fingerprint, kernelHashes: {}, backend: 'native', variant: 'avx2' });
  journal.close();
  await expect(resume()).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_MISMATCH',
    message: expect.stringContaining(
      'has the numerics fingerprint ffffffffffff, but its journal eeeeeeeeeeee',
    ),
  });
});

it('reads checkpoints when nobody else can write them any more: under the lock', async () => {
  writeFileSync(await writeAt(3), 'damaged');
  writeFileSync(join(out, 'coordinator.lock'), `${process.ppid}\n`);
  await expect(resume()).rejects.toMatchObject({ code: 'LOCKSTEP_RUN_IN_USE' });
});

it('leaves its directory free where it is stopped before anybody joined', async () => {
  const begin = () =>
    openRun({ config, dataset, out, resume: false, workers: 2, stopAfterStep: undefined, onEvent: () => {} });
  const run = await begin();
  if (run.is !== 'open') throw new Error('it is over');
  expect(readFileSync(join(out, 'journal.ndjson'), 'utf8')).toContain('"datasetSha256"');
  run.session.stop();
  await expect(run.session.result).rejects.toMatchObject({ code: 'LOCKSTEP_STOPPED' });
  expect(readdirSync(out)).toEqual([]);
  await expect(begin()).resolves.toMatchObject({ is: 'open' });
});

it('leaves nothing where there is nothing to resume', async () => {
  await expect(resume()).rejects.toMatchObject({ code: 'LOCKSTEP_CHECKPOINT_NOT_FOUND' });
  expect(readdirSync(out)).toEqual([]);
});
