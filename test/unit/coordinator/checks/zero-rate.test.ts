// The warning of steps that change nothing: for each kind of schedule, and none where there is a rate up to the end.

import { describe, expect, it } from 'vitest';
import { rateTooLarge, rateTooSmall, zeroRate } from '../../../../coordinator/checks/zero-rate.ts';
import { learningRateAt, learningRateSchema } from '../../../../src/optim/schedule.ts';
import { factsOf } from './facts.ts';

const cosine = { type: 'cosine', peak: 0.004, warmup: 50, total: 752 };
const steeply = { type: 'exponential', initial: 1, decay: 1e-10, every: 10 };

const factsWith = (learningRate: unknown, resumes = false, steps = 940) =>
  factsOf({ config: { optimizer: { type: 'sgd', learningRate }, steps }, resumes });

describe('a rate of 0', () => {
  it.each([
    [
      cosine,
      "the learning rate's schedule ends at step 752 with 0, the run at step 940: the last 188 steps change no weights; leave out or set optimizer.learningRate.total",
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
  ] as const)('%o is told', async (schedule, text) => {
    expect(zeroRate(await factsWith(schedule))).toEqual({ is: 'warning', message: text });
    const resumed = `${text} and train anew, into another --out`;
    expect(zeroRate(await factsWith(schedule, true))).toEqual({ is: 'warning', message: resumed });
  });

  it.each([
    0.1,
    { ...cosine, total: 940 },
    { ...cosine, final: 1e-5 },
    { type: 'cosine', peak: 0.004 },
    { type: 'cosine', peak: 0.004, warmup: 2000 },
    { type: 'exponential', initial: 0.1, decay: 0.9, every: 188 },
    { type: 'step', initial: 0.1, factor: 2, every: 100 },
  ])('%o needs no word', async (schedule) => {
    const facts = await factsWith(schedule);
    expect([zeroRate(facts), rateTooSmall(facts), rateTooLarge(facts)]).toEqual([null, null, null]);
  });

  it('counts from the first step whose rate the update takes for 0', () => {
    const rate = learningRateSchema.parse(steeply);
    expect(Math.fround(learningRateAt(rate, 46))).toBeGreaterThan(0);
    expect(Math.fround(learningRateAt(rate, 47))).toBe(0);
  });
});

describe('a rate next to 0', () => {
  it('is told from the step on at which it is lost beside the highest', async () => {
    const facts = await factsWith({ type: 'step', initial: 0.5, factor: 1e-4, every: 100 }, false, 300);
    expect(rateTooSmall(facts)).toEqual({
      is: 'warning',
      message:
        'the learning rate is 5.0e-9 or less from step 201 on, below the float32 rounding of a step at its highest rate, ' +
        '0.5: the last 100 steps of 300 change next to nothing; set optimizer.learningRate',
    });
  });

  it('is not told of the end of a long cosine, nor of a warm-up', async () => {
    for (const warmup of [0, 40_000]) {
      const facts = await factsWith({ type: 'cosine', peak: 1, warmup }, false, 100_000);
      expect(rateTooSmall(facts)).toBeNull();
    }
  });
});

it.each([
  [{ type: 'exponential', initial: 1, decay: 10, every: 1 }, 40],
  [{ type: 'step', initial: 1e30, factor: 1e5, every: 10 }, 21],
])('a rate that grows out of float32 is an error: %o', async (schedule, first) => {
  const message = `the learning rate is not finite in float32 from step ${first} of 940 on: set optimizer.learningRate`;
  expect(rateTooLarge(await factsWith(schedule))).toEqual({
    is: 'error',
    code: 'LOCKSTEP_CONFIG_INVALID',
    message,
  });
});
