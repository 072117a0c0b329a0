// Two-dimensional convolution over [height, width, channels]; weights [kernelHeight, kernelWidth, channels, filters].

import { z } from 'zod';
import { initializerSchema, resolveInitializer } from '../initializers.ts';
import { defineLayer, layerKeys } from './layer.ts';
import { imageOf, paddingSchema, pairSchema, resolveWindow } from './window.ts';

export const conv2dLayer = defineLayer({
  stem: 'conv',
  schema: z.strictObject({
    type: z.literal('conv2d'),
    filters: z.int().min(1).describe('Output channels.'),
    kernel: pairSchema.describe('Pixels: one number, or [height, width].'),
    stride: pairSchema.default(1).describe('Pixels: one number, or [height, width].'),
    padding: paddingSchema
      .default('same')
      .describe('"same" (odd pixel at bottom and right), "valid", pixels, or [top, bottom, left, right].'),
    bias: z.boolean().default(true),
    initializer: initializerSchema.default('glorotUniform'),
    ...layerKeys,
  }),
  build: (layer, inputs, context) => {
    const { filters, bias, initializer } = layer;
    const image = context.shapeOf(inputs[0]!);
    const [, , channels] = imageOf(image, context);
    const window = resolveWindow(layer, image, context);
    const [height, width] = window.kernel;
    const start = resolveInitializer(initializer, {
      fanIn: height * width * channels,
      fanOut: height * width * filters,
    });
    const weight = context.parameter('weight', 'weight', [height, width, channels, filters], start);
    const operands = [inputs[0]!, weight];
    if (bias) operands.push(context.parameter('bias', 'bias', [filters], { kind: 'zeros' }));
    return context.op('conv2d', operands, window);
  },
});
