// What a program's own callbacks throw comes out of train() as it is. The run is stopped in order before that: no worker
// process is left, and the run can be resumed to the weights of one that nothing disturbed.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineConfig, type RunEvent, type StopSignal, type TrainSettings, train } from '../../index.ts';
import { temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
afterAll(() => directory.remove());

const config = defineConfig({
  name: 'callbacks',
  data: { kind: 'digits', train: 320, test: 20 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'momentum', learningRate: 0.1 },
  batch: 16,
  steps: 300,
  evaluate: { everySteps: 3 },
  checkpoint: { everySteps: 50 },
});
let expected = '';
beforeAll(async () => {
  expected = (await train(config, { out: join(directory.path, 'quiet') })).weightsSha256;
});

let runs = 0;
async function failingRun(
  workers: number,
  settings: TrainSettings,
): Promise<{ readonly thrown: unknown; readonly out: string }> {
  runs += 1;
  const out = join(directory.path, `run-${runs}`);
  const thrown: unknown = await train(config, { workers, threads: 1, out, ...settings }).then(
    () => expect.fail('it did not throw'),
    (error: unknown) => error,
  );
  // Node.js lets go of the handle of a process that has ended within the next turns of the event loop.
  for (let turn = 0; turn < 3; turn += 1) await immediate();
  expect(process.getActiveResourcesInfo()).not.toContain('ProcessWrap');
  return { thrown, out };
}

/** It goes on with a checkpoint, or where no step was taken it starts as if nothing had been there. */
async function expectToGoOn(out: string): Promise<void> {
  const checkpoints = join(out, 'checkpoints');
  const resume = existsSync(checkpoints) && readdirSync(checkpoints).length > 0;
  const result = await train(config, { out, resume });
  expect(result).toMatchObject({ weightsSha256: expected, steps: 300 });
}

describe.each([0, 2])('with %i worker processes', (workers) => {
  it.each(['start', 'membership', 'step', 'evaluation', 'checkpoint'] as const)(
    'what onEvent throws at a %s event comes out as it is',
    async (kind) => {
      const error = new Error('of the program');
      const events: RunEvent[] = [];
      const onEvent = (event: RunEvent): void => {
        events.push(event);
        if (event.event === kind) throw error;
      };
      const { thrown, out } = await failingRun(workers, { onEvent });
      expect(thrown).toBe(error);
      expect(events.at(-1)?.event).toBe(kind);
      expect(events.filter(({ event }) => event === kind)).toHaveLength(1);
      if (kind === 'step') expect(readdirSync(join(out, 'checkpoints')).length).toBeGreaterThan(0);
      await expectToGoOn(out);
    },
  );

  it.each([
    ['undefined', undefined],
    ['a text', 'of the program'],
    ['an object', { code: 'LOCKSTEP_USAGE' }],
  ])('also where it throws %s', async (_, value) => {
    const onEvent = ({ event }: RunEvent): void => {
      if (event === 'step') throw value;
    };
    expect((await failingRun(workers, { onEvent })).thrown).toBe(value);
  });

  it('what the promise of an async onEvent rejects with, too', async () => {
    const error = new Error('of the program');
    const onEvent = async (event: RunEvent): Promise<void> => {
      await pause(1);
      if (event.event === 'step' && event.step === 3) throw error;
    };
    const { thrown, out } = await failingRun(workers, { onEvent });
    expect(thrown).toBe(error);
    await expectToGoOn(out);
  });

  it('and of one that rejects when the run is over', async () => {
    const error = new Error('of the program');
    const onEvent = async (event: RunEvent): Promise<void> => {
      if (event.event !== 'checkpoint' || event.step !== 300) return;
      await pause(200);
      throw error;
    };
    const { thrown, out } = await failingRun(workers, { onEvent });
    expect(thrown).toBe(error);
    expect(await train(config, { out, resume: true })).toMatchObject({ weightsSha256: expected });
  });

  it('what the onStop of a stop signal throws comes out as it is', async () => {
    const error = new Error('of the program');
    const signal: StopSignal = {
      stopRequested: false,
      onStop: () => {
        throw error;
      },
    };
    const { thrown, out } = await failingRun(workers, { signal });
    expect(thrown).toBe(error);
    await expectToGoOn(out);
  });
});

it('an event that the program takes long for does not hold up the run, and is awaited', async () => {
  let finished = 0;
  const onEvent = async (): Promise<void> => {
    await pause(100);
    finished += 1;
  };
  const events: RunEvent[] = [];
  await train(config, {
    out: join(directory.path, 'slow'),
    onEvent: (event) => {
      events.push(event);
      return onEvent();
    },
  });
  expect(finished).toBe(events.length);
});
