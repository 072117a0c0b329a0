// Everything that is learnt from the training data and needed to use the model on other data: columns, shapes, classes and
// the numbers of the scaling. Fitted once, on the training split; every checkpoint holds it; evaluate and predict use
// nothing else. Pure.

import { z } from 'zod';
import type { Scale } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import type { Shape } from '../ir/graph.ts';
import type { RawDataset, RawSplit } from './raw.ts';
import { applySteps, fitSteps, scalingStepSchema, suitsChannels } from './scaling.ts';
import { sharedFloats } from './shared-floats.ts';

const names = z.array(z.string()).min(1);

export const fittedSchema = z
  .strictObject({
    inputShape: z.array(z.int().min(1)).min(1),
    targetSize: z.int().min(1),
    /** 0 where targets are values. */
    classes: z.int().min(0),
    /** Names in the order of the model's inputs and outputs; null where values have no names. */
    columns: z.strictObject({ features: names, targets: names }).nullable(),
    /** Steps that turn raw inputs into those of the model. */
    inputs: z.array(scalingStepSchema),
  })
  .refine(
    ({ inputShape, inputs }) => inputs.every((step) => suitsChannels(step, channelsOf(inputShape))),
    'its scaling is for another number of channels',
  )
  .refine(
    ({ inputShape, targetSize, columns }) =>
      columns === null ||
      (String(inputShape) === String([columns.features.length]) && columns.targets.length === targetSize),
    'its columns do not fit its shapes',
  );

export type Fitted = Readonly<z.output<typeof fittedSchema>>;

/** Learns from the training split; the other split has no part in it, except that it may hold a class more. */
export function fitData(raw: RawDataset, scale: Scale): Fitted {
  const { inputShape, targetSize, classes, columns, unit, train } = raw;
  return {
    inputShape: [...inputShape],
    targetSize,
    classes,
    columns: columns === null ? null : { features: [...columns.features], targets: [...columns.targets] },
    inputs: fitSteps(scale, train.inputs, channelsOf(inputShape), unit),
  };
}

/**
 * The inputs of a split as the model takes them. A row's result depends on that row alone.
 * @throws LockstepError LOCKSTEP_DATA_INVALID for a value that float32 cannot hold once it is scaled; LOCKSTEP_OUT_OF_MEMORY
 */
export function applyFitted(
  fitted: Fitted,
  { inputs, source, samples }: Pick<RawSplit, 'inputs' | 'source' | 'samples'>,
): Float32Array<SharedArrayBuffer> {
  const out = sharedFloats(inputs.length);
  const wrong = applySteps(fitted.inputs, inputs, channelsOf(fitted.inputShape), out);
  if (wrong < 0) return out;
  const width = inputs.length / samples;
  const column = fitted.columns?.features[wrong % width];
  const where = column === undefined ? `value ${wrong % width}` : `column ${JSON.stringify(column)}`;
  throw new LockstepError(
    'LOCKSTEP_DATA_INVALID',
    `${source}: sample ${Math.floor(wrong / width)}, ${where}: ${inputs[wrong]} becomes ${out[wrong]} when it is scaled; ` +
      'correct the value',
  );
}

/** The divisor of `unit` scaling; null where inputs are scaled in another way. */
export function unitOf({ inputs }: Fitted): number | null {
  return inputs.flatMap((step) => (step.method === 'unit' ? [step.divisor] : []))[0] ?? null;
}

function channelsOf(inputShape: Shape): number {
  return inputShape.at(-1) ?? 1;
}
