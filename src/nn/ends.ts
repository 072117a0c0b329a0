// The ends of a model's graph: target, loss and metrics, and what they ask of the output.

import { LockstepError } from '../errors.ts';
import type { Graph, Shape, ValueId } from '../ir/graph.ts';
import type { GraphBuilder } from '../ir/graph-builder.ts';
import type { LossKind, MetricKind } from '../ir/ops.ts';
import { row, showShape } from '../ir/shapes.ts';
import type { MetricName } from './description.ts';

interface Ends {
  readonly output: ValueId;
  /** For messages. */
  readonly lastLayer: string;
  readonly loss: LossKind;
  readonly metrics?: readonly MetricName[];
  readonly targetSize?: number;
  readonly classes?: number;
}

/** What each loss means by a metric; a string says why it has none. */
const metricTable: Readonly<Record<LossKind, Readonly<Record<MetricName, { kind: MetricKind } | string>>>> = {
  softmaxCrossEntropy: {
    accuracy: { kind: 'classAccuracy' },
    meanAbsoluteError: 'its targets are class indices; use "accuracy"',
  },
  sigmoidCrossEntropy: {
    accuracy: { kind: 'binaryAccuracy' },
    meanAbsoluteError: 'its outputs are logits; use "accuracy"',
  },
  meanSquaredError: {
    accuracy: 'its targets are values, not classes; use "meanAbsoluteError"',
    meanAbsoluteError: { kind: 'meanAbsoluteError' },
  },
};

function invalid(what: string): never {
  throw new LockstepError('LOCKSTEP_MODEL_INVALID', what);
}

/** Adds target, loss and metrics; throws LOCKSTEP_MODEL_INVALID where output, loss and data do not fit together. */
export function addEnds(
  builder: GraphBuilder,
  ends: Ends,
): { readonly reports: Graph['reports']; readonly outputSize: number; readonly targetSize: number } {
  const { output, loss, metrics = [] } = ends;
  const outputSize = flatSize(builder.shapeOf(output), ends);
  requireLogits(builder, ends);
  const targetSize = loss === 'softmaxCrossEntropy' ? 1 : outputSize;
  checkData(outputSize, ends);
  const target = builder.source('target', { name: 'target' }, row(targetSize), 'target');
  const reports = [{ name: 'loss', value: builder.add('loss', [output, target], { kind: loss }, 'loss') }];
  for (const name of new Set(metrics)) {
    const metric = metricTable[loss][name];
    if (typeof metric === 'string')
      return invalid(`metrics: "${name}" does not go with the loss ${loss}: ${metric}`);
    reports.push({ name, value: builder.add('metric', [output, target], metric, name) });
  }
  return { reports, outputSize, targetSize };
}

function flatSize(shape: Shape, { lastLayer, loss }: Ends): number {
  const [size] = shape;
  if (shape.length !== 1 || size === undefined) {
    return invalid(
      `model.layers: the loss ${loss} takes flat output, but ${lastLayer} gives shape ${showShape(shape)}; ` +
        'end with flatten or globalAveragePool, and dense',
    );
  }
  return size;
}

/** Cross entropies apply softmax and sigmoid themselves, exactly where a separate layer would round to 0 and 1. */
function requireLogits(builder: GraphBuilder, { output, lastLayer, loss }: Ends): void {
  const last = builder.get(output);
  const doubled =
    (loss === 'softmaxCrossEntropy' && last.op === 'softmax') ||
    (loss === 'sigmoidCrossEntropy' && last.op === 'unary' && last.attributes.kind === 'sigmoid');
  if (doubled) {
    invalid(
      `model.layers: the loss ${loss} takes logits and has the ${lastLayer} built in; remove that layer`,
    );
  }
}

function checkData(outputSize: number, { lastLayer, loss, classes, targetSize }: Ends): void {
  if (loss === 'softmaxCrossEntropy') {
    if (outputSize < 2) {
      invalid(
        `model.layers: ${lastLayer} gives 1 output, but ${loss} needs one for each class; use sigmoidCrossEntropy for one`,
      );
    }
    if (classes === 0) {
      invalid(
        `loss: ${loss} needs class indices as targets, but the data's targets are values; set data.classes`,
      );
    }
    // More outputs than classes are allowed: a data set may lack the highest of its labels.
    if (classes !== undefined && classes > outputSize) {
      invalid(
        `model.layers: ${lastLayer} gives ${outputSize} outputs, but the data has ${classes} classes; give it ${classes} units`,
      );
    }
    return;
  }
  if (loss === 'sigmoidCrossEntropy' && classes !== undefined && classes > 2) {
    invalid(
      `loss: ${loss} takes targets 0 or 1, but the data has ${classes} classes; use softmaxCrossEntropy`,
    );
  }
  if (targetSize !== undefined && targetSize !== outputSize) {
    const count = targetSize === 1 ? '1 number' : `${targetSize} numbers`;
    invalid(
      `model.layers: ${lastLayer} gives ${outputSize} outputs, but a target of the data has ${count}; give it ${targetSize} units`,
    );
  }
}
