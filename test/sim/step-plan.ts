// What a simulated member's steps are to come to, as worker/member.ts has it.

import type { Owed, StepPlan } from '../../worker/step/step-machine.ts';
import type { StepsOptions } from './steps-options.ts';

type Options = Pick<StepsOptions, 'membership' | 'worker' | 'owed'>;

/** Where each member computes alone one says for all what they come to. */
const evaluates = ({ membership }: Options): boolean => !membership.alone || membership.rank === 0;

export function planOf(options: Options, buckets: number): StepPlan {
  const { members, alone, endStep } = options.membership;
  const { simulation } = options.worker;
  return {
    alone: members.length === 1 || alone,
    segments: 2,
    updates: 1,
    buckets,
    stepsPerTaskMax: 4,
    endStep,
    evaluateAfter: (step) => evaluates(options) && simulation.evaluateAfter(step),
    checkpointAfter: (step) => simulation.checkpointAfter(step),
    digestAfter: (step) => members.length > 1 && step % simulation.digestEvery === 0,
  };
}

export function owedOf(options: Options): Owed {
  const { evaluate, snapshot } = options.owed;
  return { evaluate: evaluate && evaluates(options), snapshot };
}
