// Pooling over windows and over whole images.

import { z } from 'zod';
import { defineLayer, layerKeys } from './layer.ts';
import { imageOf, paddingSchema, pairSchema, resolveWindow } from './window.ts';

const poolKeys = {
  kernel: pairSchema.default(2).describe('Pixels: one number, or [height, width].'),
  stride: pairSchema.optional().describe('Pixels; the kernel unless said.'),
  padding: paddingSchema.default('valid'),
  ...layerKeys,
};

/** Padding never wins a maximum. */
export const maxPoolLayer = defineLayer({
  stem: 'maxPool',
  schema: z.strictObject({ type: z.literal('maxPool'), ...poolKeys }),
  build: (layer, inputs, context) => {
    const window = resolveWindow(layer, context.shapeOf(inputs[0]!), context);
    return context.op('maxPool', [inputs[0]!], window);
  },
});

/** Padding does not count in an average. */
export const averagePoolLayer = defineLayer({
  stem: 'averagePool',
  schema: z.strictObject({ type: z.literal('averagePool'), ...poolKeys }),
  build: (layer, inputs, context) => {
    const window = resolveWindow(layer, context.shapeOf(inputs[0]!), context);
    return context.op('averagePool', [inputs[0]!], window);
  },
});

/** The mean of each channel: [height, width, channels] to [channels]. */
export const globalAveragePoolLayer = defineLayer({
  stem: 'globalAveragePool',
  schema: z.strictObject({ type: z.literal('globalAveragePool'), ...layerKeys }),
  build: (_, inputs, context) => {
    const [height, width, channels] = imageOf(context.shapeOf(inputs[0]!), context);
    const mean = context.op('averagePool', [inputs[0]!], {
      kernel: [height, width],
      stride: [1, 1],
      padding: [0, 0, 0, 0],
    });
    return context.op('reshape', [mean], { shape: [channels] });
  },
});
