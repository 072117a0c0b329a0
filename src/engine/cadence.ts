// When things happen in a run: its length, epochs, evaluations and checkpoints, by step. Pure, from the config alone,
// so that every worker and the coordinator know it without being told.

import type { RunConfig } from '../config/schema.ts';
import { stepsPerEpoch } from '../numerics/permutation.ts';

export interface Cadence {
  readonly stepsPerEpoch: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** The epoch (from 1) whose samples step `step` (from 1) takes. */
  epochOf(step: number): number;
  /** Are the held-out samples tried after this step? */
  evaluateAfter(step: number): boolean;
  /** Is a checkpoint written after this step? */
  checkpointAfter(step: number): boolean;
}

type CadenceConfig = Pick<RunConfig, 'batch' | 'evaluate' | 'checkpoint'> & {
  readonly epochs?: number | undefined;
  readonly steps?: number | undefined;
};

/** `samples`: of the training split and of the held-out one. The end of a run evaluates and checkpoints always. */
export function cadenceOf(
  config: CadenceConfig,
  samples: { readonly train: number; readonly test: number },
): Cadence {
  const perEpoch = stepsPerEpoch(samples.train, config.batch);
  const steps = config.steps ?? (config.epochs ?? 1) * perEpoch;
  const due = (period: RunConfig['evaluate'], step: number): boolean => {
    if (step === steps) return true;
    if (period.everySteps !== undefined) return step % period.everySteps === 0;
    return step % (perEpoch * (period.everyEpochs ?? 1)) === 0;
  };
  return {
    stepsPerEpoch: perEpoch,
    steps,
    epochOf: (step) => Math.floor((step - 1) / perEpoch) + 1,
    evaluateAfter: (step) => samples.test > 0 && due(config.evaluate, step),
    checkpointAfter: (step) => due(config.checkpoint, step),
  };
}
