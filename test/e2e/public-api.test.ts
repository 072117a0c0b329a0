// The library as a program uses it: a model in calls, a run as a function, the bytes of the command line.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import {
  batchNorm,
  conv2d,
  defineConfig,
  dense,
  flatten,
  LockstepError,
  type RunEvent,
  relu,
  sequential,
  train,
} from '../../index.ts';
import { selectBackend } from '../../src/kernels/select.ts';
import { doneEvent, lockstep, temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
afterAll(() => directory.remove());

const config = defineConfig({
  name: 'api',
  data: { kind: 'digits', train: 120, test: 30 },
  model: sequential(
    [28, 28, 1],
    [conv2d({ filters: 4, kernel: 3, stride: 2 }), batchNorm(), relu(), flatten(), dense(10)],
  ),
  loss: 'softmaxCrossEntropy',
  metrics: ['accuracy'],
  optimizer: { type: 'adam', learningRate: 0.01 },
  batch: 50,
  epochs: 2,
});

it('trains to the weights that the command line gives', async () => {
  const events: RunEvent[] = [];
  const result = await train(config, {
    threads: 2,
    out: join(directory.path, 'program'),
    onEvent: (event) => events.push(event),
  });
  expect(result).toMatchObject({ steps: 6, stopped: false });
  expect(events.filter(({ event }) => event === 'step')).toHaveLength(6);
  const beforeStart = selectBackend(undefined).notice === null ? [] : ['notice'];
  const opening = [...beforeStart, 'start'];
  expect(events.slice(0, opening.length).map(({ event }) => event)).toEqual(opening);

  writeFileSync(join(directory.path, 'api.json'), JSON.stringify(config));
  const outcome = await lockstep(['train', 'api.json', '--workers', '2', '--json'], { cwd: directory.path });
  expect(doneEvent(outcome)).toMatchObject({ weightsSha256: result.weightsSha256, metrics: result.metrics });
});

it('throws nothing but LockstepError', async () => {
  const wrong = { ...config, batch: 0 };
  const error: unknown = await train(wrong).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LockstepError);
  expect(error).toMatchObject({
    code: 'LOCKSTEP_CONFIG_INVALID',
    message: 'config: batch: must be at least 1, got 0',
  });
});
