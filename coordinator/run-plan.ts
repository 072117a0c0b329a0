// Everything about a run that is fixed before it starts, worked out once from config and data set. Pure.

import type { RunConfig } from '../src/config/schema.ts';
import type { TrainingData } from '../src/data/dataset.ts';
import { cadenceOf } from '../src/engine/cadence.ts';
import { type StateLayout, stateLayout } from '../src/engine/state.ts';
import { LockstepError } from '../src/errors.ts';
import { buildModel, type Model } from '../src/nn/build.ts';
import type { ReportFacts } from './reporter.ts';

export interface RunPlan {
  readonly config: RunConfig;
  readonly dataset: TrainingData;
  /** Directory of the run. */
  readonly out: string;
  /** Worker processes; 0: computed in this one. */
  readonly workers: number;
  readonly facts: ReportFacts;
  readonly model: Model;
  readonly layout: StateLayout;
  readonly parameterCount: number;
  /** The last step to take now. */
  readonly endStep: number;
}

/** Throws LOCKSTEP_MODEL_INVALID or LOCKSTEP_DATA_INVALID where config and data do not fit each other. */
export function planRun(options: {
  readonly config: RunConfig;
  readonly dataset: TrainingData;
  readonly out: string;
  readonly workers: number;
  readonly stopAfterStep: number | undefined;
}): RunPlan {
  const { config, dataset } = options;
  const shape = dataset.inputShape;
  if (shape.join() !== config.model.input.join()) {
    throw new LockstepError(
      'LOCKSTEP_DATA_INVALID',
      `model.input is [${config.model.input.join(', ')}], but a sample of the data has the shape [${shape.join(', ')}]`,
    );
  }
  if (dataset.train.samples === 0) {
    throw new LockstepError('LOCKSTEP_DATA_INVALID', 'the training data has no samples');
  }
  const { loss, metrics } = config;
  const model = buildModel(config.model, {
    loss,
    metrics,
    targetSize: dataset.targetSize,
    classes: dataset.classes,
  });
  const layout = stateLayout(model, config.optimizer);
  const cadence = cadenceOf(config, { train: dataset.train.samples, test: dataset.test.samples });
  return {
    config,
    dataset,
    out: options.out,
    workers: options.workers,
    model,
    layout,
    parameterCount: layout.parameters.reduce((sum, { size }) => sum + size, 0),
    endStep: Math.min(cadence.steps, options.stopAfterStep ?? cadence.steps),
    facts: {
      names: model.graph.reports.map(({ name }) => name),
      shards: config.shards,
      batch: config.batch,
      trainSamples: dataset.train.samples,
      testSamples: dataset.test.samples,
      learningRate: config.optimizer.learningRate,
      cadence,
    },
  };
}
