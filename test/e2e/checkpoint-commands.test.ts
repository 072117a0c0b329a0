// What is done with a run's checkpoints: evaluate, predict, inspect, and a resume that does not fit.

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawDigits } from '../../src/data/digits.ts';
import { doneEvent, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
const run = (...args: string[]): Promise<Outcome> => lockstep(args, { cwd: directory.path });

const config = {
  name: 'small',
  data: { kind: 'digits', train: 200, test: 50 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 4, kernel: 3, stride: 2 },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'dropout', rate: 0.2 },
      { type: 'flatten' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  metrics: ['accuracy'],
  optimizer: { type: 'adam', learningRate: { type: 'cosine', peak: 0.01, warmup: 5, total: 21 } },
  clipNorm: 1,
  batch: 32,
  epochs: 3,
};

let done: ReturnType<typeof doneEvent>;

beforeAll(async () => {
  writeFileSync(join(directory.path, 'config.json'), JSON.stringify(config));
  done = doneEvent(await run('train', 'config.json', '--json', '--out', 'run'));
});
afterAll(() => directory.remove());

describe('a run', () => {
  it('is not resumed with another model', async () => {
    const other = { ...config, optimizer: { type: 'sgd', learningRate: 0.1 } };
    writeFileSync(join(directory.path, 'other.json'), JSON.stringify(other));
    const { exitCode, stderr } = await run('train', 'other.json', '--resume', '--out', 'run');
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(
      /^error: the checkpoint in run was made with optimizer\.type "adam", but now it is "sgd";/,
    );
  });
});

describe('a checkpoint', () => {
  it('gives evaluate the metrics of the run', async () => {
    const { stdout } = await run('evaluate', 'run', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      event: 'evaluation',
      step: 21,
      samples: 50,
      metrics: done.metrics,
    });
  });

  it('gives predict a line a sample', async () => {
    const { stdout } = await run('predict', done.checkpoint ?? '', '--format', 'ndjson', '--threads', '2');
    const predictions = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(predictions.map(({ sample }) => sample)).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(stdout.split('\n')).toHaveLength(51);
    for (const { class: best, probabilities } of predictions) {
      expect(probabilities).toHaveLength(10);
      expect(probabilities[best]).toBe(Math.max(...probabilities));
    }
  });

  it('gives predict the same for the same images in a file without labels', async () => {
    const { images } = drawDigits(50, 1, 1);
    const header = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 50, 0, 0, 0, 28, 0, 0, 0, 28);
    writeFileSync(join(directory.path, 'images'), Uint8Array.from([...header, ...images]));
    const ofFile = await run('predict', 'run', '--input', 'images');
    const ofSplit = await run('predict', 'run');
    expect(ofFile.stdout).toBe(ofSplit.stdout);
    expect(ofFile.stdout.split('\n')).toHaveLength(52);
  });

  it('that nothing can be checked against is used, and told', async () => {
    copyFileSync(join(directory.path, done.checkpoint!), join(directory.path, 'alone.safetensors'));
    const told = 'not verified: alone.safetensors: no .json lies beside it';
    const alone = await run('evaluate', 'alone.safetensors', '--json');
    expect(alone).toMatchObject({ exitCode: 0, stderr: expect.stringContaining(told) });
    expect(JSON.parse(alone.stdout).metrics).toEqual(done.metrics);
    expect((await run('evaluate', done.checkpoint!, '--json')).stderr).not.toContain('not verified');
  });

  it('gives inspect its hash', async () => {
    const { stdout } = await run('inspect', 'run', '--json');
    const inspection = JSON.parse(stdout);
    expect(inspection).toMatchObject({ step: 21, weightsSha256: done.weightsSha256, parameters: 7898 });
    expect(inspection.tensors.map(({ name }: { name: string }) => name)).toContain('conv1.weight');
  });
});
