// Layers without weights that move or drop elements: flatten, dropout, add, concat.

import { z } from 'zod';
import { float32 } from '../../config/float32.ts';
import { sameShape, showShape, sizeOf } from '../../ir/shapes.ts';
import { defineLayer, joinKeys, layerKeys } from './layer.ts';

export const flattenLayer = defineLayer({
  stem: 'flatten',
  schema: z.strictObject({ type: z.literal('flatten'), ...layerKeys }),
  build: (_, inputs, { shapeOf, op }) => {
    const shape = shapeOf(inputs[0]!);
    return shape.length === 1 ? inputs[0]! : op('reshape', [inputs[0]!], { shape: [sizeOf(shape)] });
  },
});

/** In training keeps an element with probability 1 - rate and divides it by that; else does nothing. */
export const dropoutLayer = defineLayer({
  stem: 'dropout',
  schema: z.strictObject({
    type: z.literal('dropout'),
    rate: float32({ min: 0, below: 1, derived: { 'the scale 1 / (1 - rate)': (rate) => 1 / (1 - rate) } })
      .default(0.5)
      .describe('Share of elements that are dropped.'),
    ...layerKeys,
  }),
  build: ({ rate }, inputs, { op, nextDropout }) =>
    rate === 0 ? inputs[0]! : op('dropout', [inputs[0]!], { rate, layer: nextDropout() }),
});

/** Residual connections: the sum of equal shapes, from left to right. */
export const addLayer = defineLayer({
  stem: 'add',
  schema: z.strictObject({ type: z.literal('add'), ...joinKeys }),
  build: ({ inputs: names }, inputs, { shapeOf, op, fail }) => {
    const first = shapeOf(inputs[0]!);
    inputs.forEach((id, i) => {
      if (sameShape(shapeOf(id), first)) return;
      const parts = `"${names[0]}" ${showShape(first)} and "${names[i]}" ${showShape(shapeOf(id))}`;
      fail(
        `adds inputs of one shape, but got ${parts}; make them equal, with a 1 x 1 convolution for instance`,
      );
    });
    return inputs.reduce((sum, id) => op('add', [sum, id], {}));
  },
});

/** Inception-style: side by side along the last dimension. */
export const concatLayer = defineLayer({
  stem: 'concat',
  schema: z.strictObject({ type: z.literal('concat'), ...joinKeys }),
  build: ({ inputs: names }, inputs, { shapeOf, op, fail }) => {
    const first = shapeOf(inputs[0]!);
    inputs.forEach((id, i) => {
      if (sameShape(shapeOf(id).slice(0, -1), first.slice(0, -1))) return;
      const parts = `"${names[0]}" ${showShape(first)} and "${names[i]}" ${showShape(shapeOf(id))}`;
      fail(
        `joins inputs that differ in their last dimension alone, but got ${parts}; use equal strides and padding "same"`,
      );
    });
    return op('concat', inputs, {});
  },
});
