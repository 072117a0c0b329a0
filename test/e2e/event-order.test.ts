// Events come in the order of steps, whatever the order in which the messages of several workers arrive.

import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { type RunEvent, train } from '../../index.ts';
import { shuffleVariable } from '../../worker/collective/delivery.ts';
import { randomSeed as seed } from '../support/seed.ts';
import { temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
afterEach(() => {
  delete process.env[shuffleVariable];
});
afterAll(() => directory.remove());

it.each([0, 2, 3, 4])(
  `with %i workers an evaluation comes before the next step (seed ${seed})`,
  async (workers) => {
    process.env[shuffleVariable] = `${(seed + workers) % 2 ** 31}`;
    const told: string[] = [];
    const onEvent = (event: RunEvent): void => {
      if (event.event === 'step' || event.event === 'evaluation') told.push(`${event.event} ${event.step}`);
    };
    const steps = 300;
    const every = 1 + (seed % 2);
    await train(
      {
        name: 'order',
        data: { kind: 'digits', train: 320, test: 3 },
        model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
        loss: 'softmaxCrossEntropy',
        optimizer: { type: 'sgd', learningRate: 0.01 },
        batch: 16,
        steps,
        evaluate: { everySteps: every },
      },
      { workers, threads: 1, out: join(directory.path, `${workers}`), onEvent },
    );
    const expected = Array.from({ length: steps }, (_, i) => i + 1).flatMap((step) =>
      step % every === 0 ? [`step ${step}`, `evaluation ${step}`] : [`step ${step}`],
    );
    expect(told).toEqual(expected);
  },
);
