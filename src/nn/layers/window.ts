// Kernel, stride and padding as configs say them, resolved to pixels. Shared by convolution and pooling.

import { z } from 'zod';
import type { Shape } from '../../ir/graph.ts';
import type { WindowAttributes } from '../../ir/ops.ts';
import { showShape, windowSteps } from '../../ir/shapes.ts';
import type { LayerContext } from './layer.ts';

const pixels = z.int().min(1);
const edge = z.int().min(0);

/** One number for both axes, or [height, width]. */
export const pairSchema = z.union([pixels, z.tuple([pixels, pixels])]);
/** same: as many outputs as inputs / stride, rounded up; valid: none; n: all round; [top, bottom, left, right]. */
export const paddingSchema = z.union([z.enum(['same', 'valid']), edge, z.tuple([edge, edge, edge, edge])]);

type Pair = z.output<typeof pairSchema>;
type Padding = z.output<typeof paddingSchema>;

const both = (pair: Pair): readonly [number, number] => (typeof pair === 'number' ? [pair, pair] : pair);

/** Padding that gives ceil(size / stride) outputs; an odd pixel goes to the end, as in TensorFlow. */
function samePadding(size: number, kernel: number, stride: number): readonly [before: number, after: number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + kernel - size);
  const before = Math.floor(total / 2);
  return [before, total - before];
}

function resolvePadding(
  padding: Padding,
  [height, width]: readonly [number, number],
  kernel: readonly [number, number],
  stride: readonly [number, number],
): WindowAttributes['padding'] {
  if (padding === 'valid') return [0, 0, 0, 0];
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  if (typeof padding !== 'string') return padding;
  return [...samePadding(height, kernel[0], stride[0]), ...samePadding(width, kernel[1], stride[1])];
}

/** The image a layer reads; fails where it is not [height, width, channels]. */
export function imageOf(shape: Shape, { fail }: LayerContext): readonly [number, number, number] {
  const [height, width, channels] = shape;
  if (shape.length !== 3 || height === undefined || width === undefined || channels === undefined) {
    return fail(`takes images [height, width, channels], but its input has shape ${showShape(shape)}`);
  }
  return [height, width, channels];
}

/** The window over `image`, checked: it fits at least once, and no position of it lies in the padding alone. */
export function resolveWindow(
  layer: { readonly kernel: Pair; readonly stride?: Pair | undefined; readonly padding: Padding },
  image: Shape,
  context: LayerContext,
): WindowAttributes {
  const [height, width] = imageOf(image, context);
  const kernel = both(layer.kernel);
  const stride = both(layer.stride ?? layer.kernel);
  const padding = resolvePadding(layer.padding, [height, width], kernel, stride);
  const [top, bottom, left, right] = padding;
  if (Math.max(top, bottom) >= kernel[0] || Math.max(left, right) >= kernel[1]) {
    context.fail(
      `has padding [${padding.join(', ')}] but its kernel is only ${kernel.join(' x ')}; ` +
        'use padding smaller than the kernel',
    );
  }
  const fits =
    windowSteps(height, kernel[0], stride[0], top + bottom) >= 1 &&
    windowSteps(width, kernel[1], stride[1], left + right) >= 1;
  if (!fits) {
    context.fail(
      `has a kernel of ${kernel.join(' x ')}, larger than its input of shape ${showShape(image)}; ` +
        'use a smaller kernel, padding "same", or fewer pooling layers in front',
    );
  }
  return { kernel, stride, padding };
}
