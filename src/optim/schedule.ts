// Learning rates over time. Pure functions of the step, in float64, with the project's own exp, log and cos, so that
// every machine gets the same bits.

import { z } from 'zod';
import { float32, scheduleFactor } from '../config/float32.ts';
import { assert } from '../errors.ts';
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
      total: steps
        .exactOptional()
        .describe(
          'Steps, warm-up included, after which the rate is `final`; unless given, all steps of the run.',
        ),
      final: rate.default(0),
    })
    .refine(({ warmup, total }) => total === undefined || warmup < total, {
      path: ['warmup'],
      error: 'the warm-up must be shorter than `total`',
    }),
]);

export const learningRateSchema = z.union([rate, scheduleSchema]);

export type Schedule = z.output<typeof scheduleSchema>;
export type LearningRate = z.output<typeof learningRateSchema>;

type ScheduleTable = {
  readonly [K in Schedule['type']]: (
    schedule: Extract<Schedule, { type: K }>,
    done: number,
    runSteps: number | undefined,
  ) => number;
};

/** By `done`: steps finished before this one, from 0. */
const scheduleTable: ScheduleTable = {
  constant: ({ value }) => value,
  /** initial * decay^(done / every) */
  exponential: ({ initial, decay, every }, done) => initial * exp((log(decay) * done) / every),
  /** initial * factor^floor(done / every) */
  step: ({ initial, factor, every }, done) => initial * integerPower(factor, Math.floor(done / every)),
  /** Rises linearly over the steps 1 .. warmup, has its peak at step warmup + 1, then half a cosine down to `final`. */
  cosine: ({ peak, warmup, total, final }, done, runSteps) => {
    if (done < warmup) return (peak * (done + 1)) / (warmup + 1);
    const end = total ?? runSteps;
    assert(end !== undefined, 'a schedule without a length of its own has that of the run');
    const share = Math.min(1, (done - warmup) / (end - warmup));
    return final + (peak - final) * 0.5 * (1 + cos(Math.PI * share));
  },
};

/** True where the schedule ends with the run, so that a run of another length has other rates from its first step on. */
export function endsWithRun(learningRate: LearningRate): boolean {
  return (
    typeof learningRate !== 'number' && learningRate.type === 'cosine' && learningRate.total === undefined
  );
}

/** The learning rate of step `step`, counted from 1, of a run of `runSteps`, in float64. */
export function learningRateAt(learningRate: LearningRate, step: number, runSteps?: number): number {
  if (typeof learningRate === 'number') return learningRate;
  return rateOf(learningRate, step - 1, runSteps);
}

/** The first of the last steps of a run, up to `steps`, for which `holds`; null where it does not hold for the last. */
function firstOfTail(steps: number, holds: (step: number) => boolean): number | null {
  if (!holds(steps)) return null;
  let [low, high] = [1, steps];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}

/**
 * The first step from which on to the last, `steps`, the rate is 0 as the update takes it, in float32; null where the last
 * step has a rate. A rate that has come down to 0 never rises again.
 */
export function firstStepWithoutRate(learningRate: LearningRate, steps: number): number | null {
  return firstOfTail(steps, (step) => Math.fround(learningRateAt(learningRate, step, steps)) === 0);
}

/** The first step whose rate is not finite in float32, null where there is none. Only rates that grow come to that. */
export function firstStepBeyondFloat32(learningRate: LearningRate, steps: number): number | null {
  return firstOfTail(
    steps,
    (step) => !Number.isFinite(Math.fround(learningRateAt(learningRate, step, steps))),
  );
}

/** The highest rate of a run, and the step that has it first. */
export function peakRate(
  learningRate: LearningRate,
  steps: number,
): { readonly rate: number; readonly step: number } {
  const warmup = typeof learningRate !== 'number' && learningRate.type === 'cosine' ? learningRate.warmup : 0;
  const candidates = [1, Math.min(warmup + 1, steps), steps].map((step) => ({
    step,
    rate: learningRateAt(learningRate, step, steps),
  }));
  return candidates.reduce((best, other) => (other.rate > best.rate ? other : best));
}

/** As firstStepWithoutRate, for rates of at most `share` of the highest, which the run has had by then. */
export function firstStepBelow(learningRate: LearningRate, steps: number, share: number): number | null {
  const peak = peakRate(learningRate, steps);
  const isLow = (step: number): boolean =>
    step > peak.step && learningRateAt(learningRate, step, steps) <= peak.rate * share;
  return firstOfTail(steps, isLow);
}

function rateOf<K extends Schedule['type']>(
  schedule: Extract<Schedule, { type: K }>,
  done: number,
  runSteps: number | undefined,
): number {
  return scheduleTable[schedule.type as K](schedule, done, runSteps);
}
