// The warning of a run whose last steps have a learning rate of 0: they cost time and change nothing. Pure.

import { firstStepWithoutRate, type LearningRate } from '../src/optim/schedule.ts';

/** What to set for a schedule of each kind, and why its rate comes to 0. */
const remedies: {
  readonly [T in 'cosine' | 'exponential' | 'step']: { readonly why: string; readonly key: string };
} = {
  cosine: { why: 'ends', key: '.total' },
  exponential: { why: 'comes down to nothing', key: '.decay' },
  step: { why: 'comes down to nothing', key: '.factor' },
};

/**
 * One line for a run of `steps` steps, null where its last one has a rate. `goesOn`: it is a run that is taken up again, whose
 * schedule cannot be changed any more.
 */
export function idleStepsText(learningRate: LearningRate, steps: number, goesOn: boolean): string | null {
  const first = firstStepWithoutRate(learningRate, steps);
  if (first === null) return null;
  const anew = goesOn ? ' and train anew, into another --out' : '';
  const schedule = typeof learningRate === 'number' || learningRate.type === 'constant' ? null : learningRate;
  if (schedule === null || first === 1) {
    return `the learning rate is 0 in all of the run's ${steps} steps: they change no weights; set optimizer.learningRate${anew}`;
  }
  const { why, key } = remedies[schedule.type];
  const idle = steps - first + 1;
  return (
    `the learning rate's schedule ${why} at step ${first - 1}${schedule.type === 'cosine' ? ' with 0' : ''}, ` +
    `the run at step ${steps}: the last ${idle === 1 ? 'step changes' : `${idle} steps change`} no weights; ` +
    `set optimizer.learningRate${key}${anew}`
  );
}
