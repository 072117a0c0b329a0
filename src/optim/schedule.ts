// Learning rates over time. Pure functions of the step, in float64, with the project's own exp, log and cos, so that
// every machine gets the same bits.

import { z } from 'zod';
import { float32, scheduleFactor } from '../config/float32.ts';
import { cos, exp, log } from '../numerics/math.ts';
import { integerPower } from './power.ts';

const rate = float32({ min: 0 });
const steps = z.int().min(1);

export const scheduleSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('constant'), value: rate }),
  z.strictObject({
    type: z.literal('exponential'),
    initial: rate,
    decay: scheduleFactor().describe('Factor over `every` steps.'),
    every: steps.describe('Steps.'),
  }),
  z.strictObject({
    type: z.literal('step'),
    initial: rate,
    factor: scheduleFactor().describe('Factor at each stair.'),
    every: steps.describe('Steps between stairs.'),
  }),
  z
    .strictObject({
      type: z.literal('cosine'),
      peak: rate,
      warmup: z.int().min(0).default(0).describe('Steps of linear rise ahead of the peak.'),
      total: steps.describe('Steps, warm-up included, after which the rate is `final`.'),
      final: rate.default(0),
    })
    .refine(({ warmup, total }) => warmup < total, {
      path: ['warmup'],
      error: 'the warm-up must be shorter than `total`',
    }),
]);

export const learningRateSchema = z.union([rate, scheduleSchema]);

export type Schedule = z.output<typeof scheduleSchema>;
export type LearningRate = z.output<typeof learningRateSchema>;

type ScheduleTable = {
  readonly [K in Schedule['type']]: (schedule: Extract<Schedule, { type: K }>, done: number) => number;
};

/** By `done`: steps finished before this one, from 0. */
const scheduleTable: ScheduleTable = {
  constant: ({ value }) => value,
  /** initial * decay^(done / every) */
  exponential: ({ initial, decay, every }, done) => initial * exp((log(decay) * done) / every),
  /** initial * factor^floor(done / every) */
  step: ({ initial, factor, every }, done) => initial * integerPower(factor, Math.floor(done / every)),
  /** Rises linearly over the steps 1 .. warmup, has its peak at step warmup + 1, then half a cosine down to `final`. */
  cosine: ({ peak, warmup, total, final }, done) => {
    if (done < warmup) return (peak * (done + 1)) / (warmup + 1);
    const share = Math.min(1, (done - warmup) / (total - warmup));
    return final + (peak - final) * 0.5 * (1 + cos(Math.PI * share));
  },
};

/** The learning rate of step `step`, counted from 1, in float64. */
export function learningRateAt(learningRate: LearningRate, step: number): number {
  if (typeof learningRate === 'number') return learningRate;
  return rateOf(learningRate, step - 1);
}

/**
 * The first step from which on to the last, `steps`, the rate is 0 as the update takes it, in float32; null where the last
 * step has a rate. A rate that has come down to 0 never rises again.
 */
export function firstStepWithoutRate(learningRate: LearningRate, steps: number): number | null {
  const isNothing = (step: number): boolean => Math.fround(learningRateAt(learningRate, step)) === 0;
  if (!isNothing(steps)) return null;
  let [low, high] = [1, steps];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isNothing(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}

function rateOf<K extends Schedule['type']>(schedule: Extract<Schedule, { type: K }>, done: number): number {
  return scheduleTable[schedule.type as K](schedule, done);
}
