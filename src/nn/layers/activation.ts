// Activations, element by element, and softmax over the outputs of a sample.

import { z } from 'zod';
import { float32 } from '../../config/float32.ts';
import { showShape } from '../../ir/shapes.ts';
import type { UnaryKind } from '../../kernels/kernel-list.ts';
import { defineLayer, layerKeys } from './layer.ts';

function plain<K extends UnaryKind>(kind: K) {
  return defineLayer({
    stem: kind,
    schema: z.strictObject({ type: z.literal(kind), ...layerKeys }),
    build: (_, inputs, { op }) => op('unary', [inputs[0]!], { kind, alpha: 0 }),
  });
}

function withAlpha<K extends UnaryKind>(kind: K, alpha: z.ZodDefault<z.ZodNumber>) {
  const schema = z.strictObject({ type: z.literal(kind), alpha, ...layerKeys });
  return defineLayer({
    stem: kind,
    schema,
    build: (layer, inputs, { op }) => op('unary', [inputs[0]!], { kind, alpha: layer.alpha }),
  });
}

export const reluLayer = plain('relu');
export const sigmoidLayer = plain('sigmoid');
export const tanhLayer = plain('tanh');
/** x times the normal distribution function of x, by erf (Hendrycks and Gimpel 2016). */
export const geluLayer = plain('gelu');
export const leakyReluLayer = withAlpha(
  'leakyRelu',
  float32({ min: 0 }).default(0.01).describe('Slope below zero.'),
);
export const eluLayer = withAlpha(
  'elu',
  float32({ above: 0 }).default(1).describe('Minus the limit at -infinity.'),
);

export const softmaxLayer = defineLayer({
  stem: 'softmax',
  schema: z.strictObject({ type: z.literal('softmax'), ...layerKeys }),
  build: (_, inputs, { shapeOf, op, fail }) => {
    const shape = shapeOf(inputs[0]!);
    if (shape.length !== 1) {
      fail(`takes flat input, but its input has shape ${showShape(shape)}; put a flatten layer in front`);
    }
    return op('softmax', [inputs[0]!], {});
  },
});
