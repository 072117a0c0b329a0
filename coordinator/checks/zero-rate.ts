// Learning rates with which steps change nothing, or everything at once: 0, next to nothing, infinite. Pure.

import {
  firstStepBelow,
  firstStepBeyondFloat32,
  firstStepWithoutRate,
  learningRateAt,
  peakRate,
  type Schedule,
} from '../../src/optim/schedule.ts';
import { anew, count, type Finding, type RunFacts, warning } from './finding.ts';

/** Why the rate of a schedule of each kind comes to 0, and what to do about it. */
const remedies: {
  readonly [T in Exclude<Schedule['type'], 'constant'>]: {
    readonly why: string;
    readonly remedy: string;
  };
} = {
  cosine: { why: 'ends', remedy: 'leave out or set optimizer.learningRate.total' },
  exponential: { why: 'comes down to nothing', remedy: 'set optimizer.learningRate.decay' },
  step: { why: 'comes down to nothing', remedy: 'set optimizer.learningRate.factor' },
};

function scheduleIn(facts: RunFacts) {
  const { learningRate, cadence } = facts.plan.facts;
  const changes = typeof learningRate === 'number' || learningRate.type === 'constant' ? null : learningRate;
  return { learningRate, steps: cadence.steps, changes };
}

/** The last steps of the run have a rate of 0 in float32. */
export function zeroRate(facts: RunFacts): Finding | null {
  const { learningRate, steps, changes } = scheduleIn(facts);
  const first = firstStepWithoutRate(learningRate, steps);
  if (first === null) return null;
  if (changes === null || first === 1) {
    return warning(
      `the learning rate is 0 in all of the run's ${steps} steps: they change no weights; ` +
        `set optimizer.learningRate${anew(facts)}`,
    );
  }
  const { why, remedy } = remedies[changes.type];
  const idle = steps - first + 1;
  return warning(
    `the learning rate's schedule ${why} at step ${first - 1}${changes.type === 'cosine' ? ' with 0' : ''}, ` +
      `the run at step ${steps}: the last ${idle === 1 ? 'step changes' : `${idle} steps change`} no weights; ` +
      `${remedy}${anew(facts)}`,
  );
}

/** Half a unit in the last place: a change this much smaller than one at the highest rate is lost in its rounding. */
const negligibleShare = 2 ** -24;
/** A cosine that ends with its run is this low for less than its last sixtieth of a percent. */
const tailShareMin = 0.01;

/** For a notable part of the run the rate is not 0, but too small to change weights beside what its highest rate did. */
export function rateTooSmall(facts: RunFacts): Finding | null {
  const { learningRate, steps, changes } = scheduleIn(facts);
  if (changes === null || firstStepWithoutRate(learningRate, steps) !== null) return null;
  const first = firstStepBelow(learningRate, steps, negligibleShare);
  if (first === null || steps - first + 1 < steps * tailShareMin) return null;
  const idle = steps - first + 1;
  const rate = learningRateAt(learningRate, first, steps).toPrecision(2);
  const highest = peakRate(learningRate, steps).rate;
  return warning(
    `the learning rate is ${rate} or less from step ${first} on, below the float32 rounding of a step at its highest ` +
      `rate, ${highest}: the last ${count(idle, 'step')} of ${steps} change next to nothing; ` +
      `set optimizer.learningRate${anew(facts)}`,
  );
}

/** A growing rate leaves the range of float32. */
export function rateTooLarge(facts: RunFacts): Finding | null {
  const { learningRate, steps } = scheduleIn(facts);
  const first = firstStepBeyondFloat32(learningRate, steps);
  if (first === null) return null;
  const message =
    `the learning rate is not finite in float32 from step ${first} of ${steps} on: ` +
    `set optimizer.learningRate${anew(facts)}`;
  return { is: 'error', code: 'LOCKSTEP_CONFIG_INVALID', message };
}
