// Cases of convolution and pooling.

import { batteryCase, input, output, rectified, signed, stepLayout } from './battery-case.ts';
import { type Draw, type WindowShape, windowOutputs } from './battery-draw.ts';
import { family, layoutOf, type Place, samplesMax } from './battery-family.ts';

interface Shape extends WindowShape {
  readonly place: Place;
  /** Of the convolution. */
  readonly filters: number;
}

const pair = { name: 'two samples', layout: stepLayout(2, 1) };
const crowd = { name: '300 samples', layout: stepLayout(300, 1) };

// biome-ignore format: a table
const keptForAll: readonly Shape[] = [
  { place: 'idle', image: [4, 4, 2], kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0], filters: 3 },
  { place: 'many', image: [3, 3, 2], kernel: [2, 2], stride: [1, 1], padding: [0, 1, 0, 1], filters: 6 },
  // Several panels, tiles and blocks of pixels.
  { place: 'one', image: [12, 21, 32], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 70 },
];

// biome-ignore format: a table
const keptConvolutions: readonly Shape[] = [
  ...keptForAll,
  { place: 'one', image: [40, 40, 32], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 4 },
  // Maps of 1 x 1: the pixels of a block are samples, and a shard has more of them than a block.
  { place: crowd, image: [1, 1, 9], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 8 },
  { place: crowd, image: [1, 1, 5], kernel: [1, 1], stride: [2, 2], padding: [0, 0, 0, 0], filters: 7 },
  // A padded row is copied in parts.
  { place: pair, image: [1, 30, 700], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 1 },
  // More terms to an output than any scratch holds at once.
  { place: 'one', image: [1, 1, 33000], kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], filters: 2 },
  { place: 'one', image: [1, 1, 2], kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], filters: 33000 },
];

// biome-ignore format: a table
const keptPools: readonly Shape[] = [
  ...keptForAll,
  // Whole windows of 2 x 2, and windows that do not cover the image.
  { place: 'uneven', image: [7, 5, 17], kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0], filters: 0 },
  // A long sum.
  { place: 'few', image: [13, 11, 5], kernel: [13, 11], stride: [1, 1], padding: [0, 0, 0, 0], filters: 0 },
];

/** Greatest height, width and channels of an image, and filters. */
function limitsOf(draw: Draw, elementsMax: number): readonly [number, number, number, number] {
  let edge = 1;
  while (edge * edge * edge < elementsMax) edge += 1;
  const short = Math.ceil(edge / 3) + 1;
  switch (draw.below(3)) {
    case 0: // large images of few channels
      return [edge, edge, short, short];
    case 1: // small images of many channels
      return [short, short, 4 * edge, 4 * edge];
    default: // sequences, of a great many
      return [1, 40, Math.ceil(elementsMax / 60), 3];
  }
}

/** `covered`: for pooling, where no window may lie in the padding alone. */
function drawShape(draw: Draw, elementsMax: number, covered: boolean): Shape {
  for (;;) {
    const [heightMax, widthMax, channelsMax, filtersMax] = limitsOf(draw, elementsMax);
    const place = draw.layout(samplesMax(elementsMax));
    const window = draw.window([heightMax, widthMax], channelsMax, covered);
    const shape = { place, ...window, filters: draw.size(filtersMax) };
    const { rows, ownNodes } = layoutOf(place);
    const [high, wide] = windowOutputs(window);
    const [height, width, channels] = window.image;
    const weights = covered ? 0 : window.kernel[0] * window.kernel[1] * channels * shape.filters;
    const outputs = rows * high * wide * (covered ? channels : shape.filters);
    if (rows * height * width * channels + outputs + weights * Math.max(1, ownNodes) <= elementsMax)
      return shape;
  }
}

const drawConvolution = (draw: Draw, elementsMax: number): Shape => drawShape(draw, elementsMax, false);
const drawPool = (draw: Draw, elementsMax: number): Shape => drawShape(draw, elementsMax, true);

function geometry(shape: Shape) {
  const { image, kernel, stride, padding } = shape;
  const [height, width, channels] = image;
  const [outHeight, outWidth] = windowOutputs(shape);
  const window = {
    height,
    width,
    channels,
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideHeight: stride[0],
    strideWidth: stride[1],
    padTop: padding[0],
    padLeft: padding[2],
    outHeight,
    outWidth,
  };
  const { rows, ownNodes } = layoutOf(shape.place);
  const positions = outHeight * outWidth;
  const weights = kernel[0] * kernel[1] * channels * shape.filters;
  return {
    window,
    positions,
    weights,
    ownNodes,
    pixels: rows * height * width * channels,
    outputs: rows * positions * shape.filters,
    pooled: rows * positions * channels,
  };
}

/** The taps of the window at an output position that lie inside of the image: what a maximum can be. */
function tapsInside(w: ReturnType<typeof geometry>['window'], position: number): number[] {
  const top = Math.floor(position / w.outWidth) * w.strideHeight - w.padTop;
  const left = (position % w.outWidth) * w.strideWidth - w.padLeft;
  return Array.from({ length: w.kernelHeight * w.kernelWidth }, (_, tap) => tap).filter((tap) => {
    const y = top + Math.floor(tap / w.kernelWidth);
    const x = left + (tap % w.kernelWidth);
    return y >= 0 && y < w.height && x >= 0 && x < w.width;
  });
}

function title({ image, kernel, stride, padding, filters }: Shape): string {
  return `${image.join('x')} by ${kernel.join('x')} step ${stride.join('x')} padded ${padding.join(' ')} to ${filters}`;
}

export const windowCases = {
  convForward: family(
    (shape: Shape, variant) => {
      const { window, pixels, outputs, weights } = geometry(shape);
      const activation = variant % 2;
      const bias = variant % 3 === 2 ? null : input(shape.filters);
      const name = `${title(shape)}${bias ? ' bias' : ''}${activation ? ' relu' : ''}`;
      const operands = { y: output(outputs), x: input(pixels), w: input(weights), bias };
      return batteryCase('convForward', name, shape.place, {
        ...operands,
        ...window,
        filters: shape.filters,
        activation,
      });
    },
    keptConvolutions,
    drawConvolution,
  ),

  convInputGradient: family(
    (shape: Shape, variant) => {
      const { window, pixels, outputs, weights } = geometry(shape);
      const mask = variant % 2 ? input(pixels, rectified) : null;
      const operands = { dx: output(pixels), dy: input(outputs), w: input(weights), mask };
      return batteryCase('convInputGradient', `${title(shape)}${mask ? ' mask' : ''}`, shape.place, {
        ...operands,
        ...window,
        filters: shape.filters,
      });
    },
    keptConvolutions,
    drawConvolution,
  ),

  convWeightGradient: family(
    (shape: Shape) => {
      const { window, pixels, outputs, weights, ownNodes } = geometry(shape);
      const stride = weights + 16;
      return batteryCase('convWeightGradient', title(shape), shape.place, {
        dw: output(ownNodes * stride),
        stride,
        x: input(pixels),
        dy: input(outputs),
        ...window,
        filters: shape.filters,
      });
    },
    keptConvolutions,
    drawConvolution,
  ),

  maxPoolForward: family(
    (shape: Shape, variant) => {
      const { window, pixels, pooled } = geometry(shape);
      return batteryCase('maxPoolForward', title(shape), shape.place, {
        y: output(pooled),
        choice: output(pooled),
        x: input(pixels, variant % 2 ? rectified : signed), // rectified: many equal maxima
        ...window,
      });
    },
    keptPools,
    drawPool,
  ),

  maxPoolBackward: family(
    (shape: Shape, variant) => {
      const { window, pixels, pooled, positions } = geometry(shape);
      const tapsOf: number[][] = [];
      return batteryCase('maxPoolBackward', `${title(shape)}${variant % 2 ? ' relu' : ''}`, shape.place, {
        dx: output(pixels),
        dy: input(pooled),
        choice: input(pooled, (u, place) => {
          const position = Math.floor(place / window.channels) % positions;
          tapsOf[position] ??= tapsInside(window, position);
          const taps = tapsOf[position];
          return taps[Math.floor(u * taps.length)]!;
        }),
        y: input(pooled, rectified),
        relu: variant % 2,
        ...window,
      });
    },
    keptPools,
    drawPool,
  ),

  averagePoolForward: family(
    (shape: Shape) => {
      const { window, pixels, pooled } = geometry(shape);
      return batteryCase('averagePoolForward', title(shape), shape.place, {
        y: output(pooled),
        x: input(pixels),
        ...window,
      });
    },
    keptPools,
    drawPool,
  ),

  averagePoolBackward: family(
    (shape: Shape) => {
      const { window, pixels, pooled } = geometry(shape);
      return batteryCase('averagePoolBackward', title(shape), shape.place, {
        dx: output(pixels),
        dy: input(pooled),
        ...window,
      });
    },
    keptPools,
    drawPool,
  ),
} as const;
