// Dense layers: y = x w + b.

import { z } from 'zod';
import { showShape, sizeOf } from '../../ir/shapes.ts';
import { initializerSchema, resolveInitializer } from '../initializers.ts';
import { defineLayer, layerKeys } from './layer.ts';

export const denseLayer = defineLayer({
  stem: 'dense',
  schema: z.strictObject({
    type: z.literal('dense'),
    units: z.int().min(1).describe('Outputs.'),
    bias: z.boolean().default(true),
    initializer: initializerSchema.default('glorotUniform'),
    ...layerKeys,
  }),
  build: ({ units, bias, initializer }, inputs, { shapeOf, op, parameter, fail }) => {
    const shape = shapeOf(inputs[0]!);
    const [features] = shape;
    if (shape.length !== 1 || features === undefined) {
      const flat = showShape([sizeOf(shape)]);
      return fail(
        `takes flat input such as ${flat}, but its input has shape ${showShape(shape)}; put a flatten layer in front`,
      );
    }
    const start = resolveInitializer(initializer, { fanIn: features, fanOut: units });
    const weight = parameter('weight', 'weight', [features, units], start);
    const operands = [inputs[0]!, weight];
    if (bias) operands.push(parameter('bias', 'bias', [units], { kind: 'zeros' }));
    return op('dense', operands, {});
  },
});
