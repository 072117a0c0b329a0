// Stop at any step and go on with another cluster: the weights are those of the run that never stopped.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { doneEvent, lockstep, type RunSettings, temporaryDirectory } from './command-line.ts';

const config = {
  name: 'resume',
  data: { kind: 'digits', train: 400, test: 80, seed: 2 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 8, kernel: 3, stride: 2, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  metrics: ['accuracy'],
  optimizer: { type: 'adam', learningRate: { type: 'cosine', peak: 0.003, warmup: 4, total: 70 } },
  batch: 30,
  epochs: 5,
  seed: 3,
};
const steps = 70;

const directory = temporaryDirectory();
const configPath = join(directory.path, 'resume.json');
let expected = '';

const train = (out: string, args: readonly string[], settings: Partial<RunSettings> = {}) =>
  lockstep(['train', configPath, '--out', join(directory.path, out), '--json', ...args], {
    cwd: directory.path,
    ...settings,
  });

beforeAll(async () => {
  writeFileSync(configPath, JSON.stringify(config));
  expected = doneEvent(await train('whole', ['--workers', '0', '--threads', '1'])).weightsSha256;
});
afterAll(() => directory.remove());

it.each([
  { stop: 1, before: 0, after: 2 },
  { stop: 14, before: 2, after: 3 },
  { stop: 37, before: 3, after: 1 },
  { stop: 69, before: 2, after: 0 },
])('stops after step $stop of $before workers, goes on with $after', async ({ stop, before, after }) => {
  const out = `stop-${stop}`;
  const first = doneEvent(
    await train(out, ['--workers', `${before}`, '--threads', '1', '--stop-after', `${stop}`]),
  );
  expect(first).toMatchObject({ steps: stop, stopped: true });
  const second = doneEvent(await train(out, ['--workers', `${after}`, '--threads', '2', '--resume']));
  expect(second).toMatchObject({ steps, stopped: false, weightsSha256: expected });
});

it.each([0, 2])('stops on one SIGINT with a checkpoint (%s workers) and goes on', async (workers) => {
  const out = `interrupted-${workers}`;
  let sent = false;
  const first = await train(out, ['--workers', `${workers}`, '--threads', '1'], {
    onOutput: (text, kill) => {
      if (sent || !text.includes('"event":"step"')) return;
      sent = true;
      kill('SIGINT');
    },
  });
  const stopped = doneEvent(first);
  expect(first.exitCode).toBe(130);
  expect(stopped.stopped).toBe(true);
  expect(stopped.steps).toBeLessThan(steps);
  expect(existsSync(stopped.checkpoint!)).toBe(true);
  const second = doneEvent(await train(out, ['--workers', `${2 - workers}`, '--resume']));
  expect(second).toMatchObject({ steps, weightsSha256: expected });
});
