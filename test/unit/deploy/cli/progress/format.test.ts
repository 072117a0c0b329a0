// The texts of the progress display: golden lines of one small run, and the numbers in them.

import { describe, expect, it } from 'vitest';
import {
  formatBar,
  formatCount,
  formatDuration,
  formatEvent,
  formatMetric,
  formatStep,
  formatSummary,
  remainingMs,
} from '../../../../../deploy/cli/progress/format.ts';
import type { RunEvent, StartEvent, StepEvent } from '../../../../../src/engine/events.ts';

const start: StartEvent = {
  event: 'start',
  name: 'digits-cnn',
  workers: 2,
  threads: 1,
  shards: 8,
  backend: 'native',
  variant: 'avx512',
  fingerprint: 'f'.repeat(64),
  parameters: 123_456,
  trainSamples: 12_000,
  testSamples: 2000,
  batch: 64,
  stepsPerEpoch: 188,
  steps: 940,
  firstStep: 0,
  seed: 1,
  out: 'runs/digits-cnn',
};
const step: StepEvent = {
  event: 'step',
  step: 470,
  epoch: 3,
  loss: 0.12345,
  metrics: { accuracy: 0.96875 },
  learningRate: 0.001,
  gradientNorm: 1.5,
  samplesPerSecond: 3456.7,
};

const goOn = 'lockstep train digits.json --resume --out runs/digits-cnn';

describe('numbers', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1_234_567.4, '1,234,567'],
  ])('count %d', (value, text) => expect(formatCount(value)).toBe(text));

  it.each([
    [0, '0 s'],
    [59_400, '59 s'],
    [60_000, '1 min 0 s'],
    [3_725_000, '1 h 2 min'],
  ])('duration %d ms', (value, text) => expect(formatDuration(value)).toBe(text));

  it.each([
    ['loss', 0.5, 'loss 0.5000'],
    ['loss', 0.000_012_345, 'loss 1.234e-5'],
    ['loss', Number.NaN, 'loss NaN'],
    ['accuracy', 0.98765, 'accuracy 98.77 %'],
    ['meanAbsoluteError', 123_456, 'meanAbsoluteError 1.235e+5'],
  ])('metric %s %d', (name, value, text) => expect(formatMetric(name, value)).toBe(text));
});

describe('a run', () => {
  it('tells its size and its cluster at the start', () => {
    expect(formatEvent(start)).toBe(
      'digits-cnn: 123,456 parameters, 12,000 samples, batch 64 in 8 shards, 940 steps; 2 workers x 1 thread, native kernels (avx512)',
    );
    expect(formatEvent({ ...start, workers: 0, threads: 2, firstStep: 100 })).toContain(
      'from step 100; one process, 2 threads',
    );
  });

  it('tells a step with the time left', () => {
    expect(formatStep({ start, step })).toBe(
      'epoch 3/5  step 470/940  loss 0.1235  accuracy 96.88 %  3,457 samples/s  9 s left',
    );
  });

  it('knows the time left from the pace', () => {
    expect(remainingMs({ start, step: { ...step, samplesPerSecond: 64 } })).toBe(470_000);
    expect(remainingMs({ start, step: { ...step, samplesPerSecond: 0 } })).toBeNull();
    expect(remainingMs({ start, step: null })).toBeNull();
  });

  it('fits the bar into the terminal', () => {
    const line = formatBar({ start, step }, 200);
    expect(line.startsWith(`${'█'.repeat(12)}${'░'.repeat(12)} 50 %  epoch 3/5`)).toBe(true);
    expect(formatBar({ start, step }, 40)).toHaveLength(39);
    expect(formatBar({ start, step: null }, 80)).toBe(`${'░'.repeat(24)} 0 %  starting ...`);
  });

  it('shows nothing in place of steps and checkpoints, and a line for the rest', () => {
    const events: RunEvent[] = [
      step,
      { event: 'checkpoint', step: 188, path: 'x' },
      { event: 'evaluation', step: 188, epoch: 1, metrics: { loss: 0.25, accuracy: 0.9 } },
      { event: 'membership', generation: 2, world: 1, wanted: 2, reason: 'worker 1 joined' },
      { event: 'membership', generation: 4, world: 3, wanted: 2, reason: 'worker 3 joined' },
      { event: 'listening', url: 'ws://127.0.0.1:7070', isAny: false },
      { event: 'notice', message: 'native kernels are not built: WebAssembly is used' },
    ];
    expect(events.map(formatEvent)).toEqual([
      null,
      null,
      'epoch 1  held-out samples: loss 0.2500  accuracy 90.00 %',
      '1 worker of 2 (generation 2): worker 1 joined',
      '3 workers (generation 4): worker 3 joined',
      'waiting for workers at ws://127.0.0.1:7070',
      'native kernels are not built: WebAssembly is used',
    ]);
  });

  it('ends with the result, the hash and where things lie', () => {
    const weightsSha256 = 'a'.repeat(64);
    const metrics = { loss: 0.1, accuracy: 0.98 };
    expect(
      formatSummary(
        {
          event: 'done',
          steps: 940,
          weightsSha256,
          metrics,
          checkpoint: 'runs/digits-cnn/step-940',
          stopped: false,
        },
        { start, since: 0, elapsedMs: 42_000, goOn },
      ),
    ).toEqual([
      'done: 940 steps in 42 s',
      '  result          loss 0.1000  accuracy 98.00 %',
      `  weights SHA-256 ${weightsSha256}`,
      '  checkpoint      runs/digits-cnn/step-940',
      '  run directory   runs/digits-cnn',
    ]);
  });

  it('says of a run that was taken up again which steps the time is of', () => {
    const weightsSha256 = 'a'.repeat(64);
    const done = { event: 'done', steps: 940, weightsSha256, metrics: {}, checkpoint: null } as const;
    // Its workers went on to step 752 while it was away.
    const resumed = { ...start, firstStep: 564 };
    const state = (stopped: boolean): string | undefined =>
      formatSummary({ ...done, stopped }, { start: resumed, since: 752, elapsedMs: 9_000, goOn })[0];
    expect(state(false)).toBe('done: 940 steps; 188 steps since step 752 in 9 s');
    expect(state(true)).toBe('stopped after step 940; 188 steps since step 752 in 9 s');
  });

  it('has no line for a result that was not measured, and says how to go on', () => {
    const weightsSha256 = 'a'.repeat(64);
    const done = {
      event: 'done',
      steps: 9,
      weightsSha256,
      metrics: {},
      checkpoint: null,
      stopped: true,
    } as const;
    expect(formatSummary(done, { start: null, since: 0, elapsedMs: 1_000, goOn })).toEqual([
      'stopped after step 9 in 1 s',
      `  weights SHA-256 ${weightsSha256}`,
      `  to go on        ${goOn}`,
    ]);
  });
});
