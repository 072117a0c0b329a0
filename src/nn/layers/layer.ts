// What a layer family is: the schema of its JSON and a function that writes its values into the graph.

import { z } from 'zod';
import type { Initializer, Shape, TensorDeclaration, ValueId } from '../../ir/graph.ts';
import type { OpAttributes, OpName } from '../../ir/ops.ts';
import type { SourceOp } from '../../ir/shapes.ts';

/** What a layer builds with. Everything it makes carries its name. */
export interface LayerContext {
  readonly shapeOf: (id: ValueId) => Shape;
  readonly op: <K extends Exclude<OpName, SourceOp>>(
    op: K,
    operands: readonly ValueId[],
    attributes: OpAttributes[K],
  ) => ValueId;
  /** A trained tensor, named `layer.suffix`. */
  readonly parameter: (
    suffix: string,
    role: Extract<TensorDeclaration['role'], 'weight' | 'bias' | 'gamma' | 'beta'>,
    shape: Shape,
    initializer: Initializer,
  ) => ValueId;
  /** A tensor that training updates without a gradient, named `layer.suffix`. */
  readonly statistic: (
    suffix: string,
    role: Extract<TensorDeclaration['role'], 'runningMean' | 'runningVariance'>,
    shape: Shape,
    initializer: Initializer,
  ) => ValueId;
  /** 0 for the model's first dropout layer, 1 for the next ... */
  readonly nextDropout: () => number;
  /** Throws LOCKSTEP_MODEL_INVALID naming this layer. */
  readonly fail: (what: string) => never;
}

export interface LayerRow<Layer> {
  readonly schema: z.ZodType<Layer>;
  /** Default names are the stem and a number: conv1, conv2. */
  readonly stem: string;
  /** The layer's value. `inputs` has one value, but for layers whose key is `inputs`. */
  readonly build: (layer: Layer, inputs: readonly ValueId[], context: LayerContext) => ValueId;
}

/** Checks a row's build function against its schema. */
export function defineLayer<Schema extends z.ZodType>(
  row: LayerRow<z.output<Schema>> & { readonly schema: Schema },
): LayerRow<z.output<Schema>> & { readonly schema: Schema } {
  return row;
}

export const layerName = z
  .string()
  .regex(/^[A-Za-z][\w.-]*$/, 'a name starts with a letter and has letters, digits, _, - and . only');

/** Keys of every layer with one input. */
export const layerKeys = {
  name: layerName.optional().describe('Names the layer for messages, checkpoints and references.'),
  input: layerName
    .optional()
    .describe('Name of the layer it reads, or "input"; the layer before unless said.'),
};

/** Keys of a layer that joins several. */
export const joinKeys = {
  name: layerKeys.name,
  inputs: z.array(layerName).min(2).describe('Names of the layers it joins, or "input".'),
};
