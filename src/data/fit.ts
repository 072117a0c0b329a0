// Does a data set fit a model? Checked before anything is started, so that a wrong label is one clear line. Pure.

import { LockstepError } from '../errors.ts';
import type { Shape } from '../ir/graph.ts';
import type { LossKind } from '../ir/ops.ts';
import type { Dataset, Split } from './dataset.ts';

export interface ModelSide {
  readonly inputShape: Shape;
  readonly outputSize: number;
  /** Targets a sample that the loss takes: 1 for a class index, else outputSize. */
  readonly targetSize: number;
  readonly loss: LossKind;
}

const text = (shape: Shape): string => `[${shape.join(', ')}]`;

/** @throws LockstepError LOCKSTEP_MODEL_INVALID, or LOCKSTEP_DATA_INVALID for labels and targets out of range */
export function checkFit(dataset: Omit<Dataset, 'sha256' | 'classes'>, model: ModelSide): void {
  if (text(dataset.inputShape) !== text(model.inputShape)) {
    const told = `the model takes ${text(model.inputShape)}, but a sample of the data has the shape ${text(dataset.inputShape)}`;
    throw new LockstepError('LOCKSTEP_MODEL_INVALID', `model.input: ${told}`);
  }
  if (dataset.targetSize !== model.targetSize) {
    const told = `the model has ${model.outputSize} outputs for ${model.loss}, but a sample of the data has ${dataset.targetSize} targets`;
    throw new LockstepError('LOCKSTEP_MODEL_INVALID', `model.layers: ${told}`);
  }
  for (const [name, split] of [
    ['training', dataset.train],
    ['held-out', dataset.test],
  ] as const) {
    checkTargets(split, name, model);
  }
}

function checkTargets({ targets }: Split, name: string, { loss, outputSize, targetSize }: ModelSide): void {
  if (loss === 'meanSquaredError') return;
  const isClass = loss === 'softmaxCrossEntropy';
  const wrong = targets.findIndex((target) =>
    isClass ? target >= outputSize : target !== 0 && target !== 1,
  );
  if (wrong < 0) return;
  const told = isClass
    ? `has label ${targets[wrong]}, but the model has ${outputSize} outputs (classes 0 .. ${outputSize - 1}); set the ` +
      `units of the last layer to the number of classes, or correct the labels`
    : `has target ${targets[wrong]}, but ${loss} takes 0 or 1`;
  const sample = Math.floor(wrong / targetSize);
  throw new LockstepError('LOCKSTEP_DATA_INVALID', `sample ${sample} of the ${name} data ${told}`);
}
