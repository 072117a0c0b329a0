// What step t does, from the config alone: which samples, which learning rate. Every worker works it out for itself.

import { batchRange, epochOrder, stepsPerEpoch } from '../numerics/permutation.ts';
import { biasCorrections, type OptimizerDescription } from '../optim/optimizer.ts';
import { learningRateAt } from '../optim/schedule.ts';
import type { StepPlan } from './memory.ts';

export interface ScheduleOptions {
  /** Training samples. */
  readonly samples: number;
  /** Samples of a global batch. */
  readonly batch: number;
  readonly seed: number;
  readonly optimizer: OptimizerDescription;
  /** Steps of the whole run; needed where the schedule of the learning rate ends with it. */
  readonly steps?: number;
}

export interface ScheduledStep extends StepPlan {
  /** From 0. */
  readonly epoch: number;
  /** The step is the last of its epoch. */
  readonly endsEpoch: boolean;
}

export class StepSchedule {
  readonly stepsPerEpoch: number;
  readonly #options: ScheduleOptions;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array(0);

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.stepsPerEpoch = stepsPerEpoch(options.samples, options.batch);
  }

  /** Step `step`, from 1. The ids are a view that stays valid. */
  at(step: number): ScheduledStep {
    const { samples, batch, seed, optimizer, steps } = this.#options;
    const { epoch, from, to } = batchRange(step - 1, samples, batch);
    if (epoch !== this.#epoch) {
      this.#order = epochOrder(seed, epoch, samples);
      this.#epoch = epoch;
    }
    return {
      step,
      epoch,
      endsEpoch: to === samples,
      seed,
      sampleIds: this.#order.subarray(from, to),
      learningRate: learningRateAt(optimizer.learningRate, step, steps),
      biasCorrections: biasCorrections(optimizer, step),
    };
  }
}

/** The batches of an evaluation over `samples` samples in their own order. */
export function evaluationPlans(samples: number, batch: number): StepPlan[] {
  return Array.from({ length: Math.ceil(samples / batch) }, (_, i) => ({
    step: 0,
    seed: 0,
    sampleIds: Uint32Array.from({ length: Math.min(batch, samples - i * batch) }, (_, j) => i * batch + j),
    learningRate: 0,
    biasCorrections: [1, 1],
  }));
}
