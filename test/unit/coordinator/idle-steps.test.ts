// The warning of steps that change nothing: for each kind of schedule, and none where there is a rate up to the end.

import { expect, it } from 'vitest';
import { idleStepsText } from '../../../coordinator/idle-steps.ts';
import { learningRateAt, learningRateSchema } from '../../../src/optim/schedule.ts';

const cosine = { type: 'cosine', peak: 0.004, warmup: 50, total: 752 };
const steeply = { type: 'exponential', initial: 1, decay: 1e-10, every: 10 };

it.each([
  [
    cosine,
    "the learning rate's schedule ends at step 752 with 0, the run at step 940: the last 188 steps change no weights; set optimizer.learningRate.total",
  ],
  [
    steeply,
    "the learning rate's schedule comes down to nothing at step 46, the run at step 940: the last 894 steps change no weights; set optimizer.learningRate.decay",
  ],
  [
    { type: 'step', initial: 1, factor: 1e-50, every: 939 },
    "the learning rate's schedule comes down to nothing at step 939, the run at step 940: the last step changes no weights; set optimizer.learningRate.factor",
  ],
  [
    0,
    "the learning rate is 0 in all of the run's 940 steps: they change no weights; set optimizer.learningRate",
  ],
  [
    { type: 'step', initial: 0, factor: 0.5, every: 9 },
    "the learning rate is 0 in all of the run's 940 steps: they change no weights; set optimizer.learningRate",
  ],
] as const)('%o is told', (schedule, text) => {
  const rate = learningRateSchema.parse(schedule);
  expect(idleStepsText(rate, 940, false)).toBe(text);
  expect(idleStepsText(rate, 940, true)).toBe(`${text} and train anew, into another --out`);
});

it.each([
  0.1,
  { ...cosine, total: 940 },
  { ...cosine, final: 1e-5 },
  { type: 'exponential', initial: 0.1, decay: 0.9, every: 188 },
  { type: 'step', initial: 0.1, factor: 2, every: 100 },
])('%o needs no word', (schedule) => {
  expect(idleStepsText(learningRateSchema.parse(schedule), 940, false)).toBeNull();
});

it('counts from the first step whose rate the update takes for 0', () => {
  const rate = learningRateSchema.parse(steeply);
  expect(Math.fround(learningRateAt(rate, 46))).toBeGreaterThan(0);
  expect(Math.fround(learningRateAt(rate, 47))).toBe(0);
});
