// Cases of convolution and pooling: strides, paddings on each side, windows larger than the image, odd channel counts.

import { batteryCase, input, type LayoutName, layouts, output, rectified, signed } from './battery-case.ts';

type Quad = readonly [top: number, bottom: number, left: number, right: number];

interface WindowShape {
  readonly layout: LayoutName;
  readonly image: readonly [height: number, width: number, channels: number];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: Quad;
  /** Of the convolution. */
  readonly filters: number;
}

// biome-ignore format: a table
const shapes: readonly WindowShape[] = [
  { layout: 'one', image: [1, 1, 1], kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], filters: 1 },
  { layout: 'even', image: [6, 6, 16], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 16 },
  { layout: 'uneven', image: [7, 5, 3], kernel: [3, 3], stride: [1, 1], padding: [0, 0, 0, 0], filters: 17 },
  { layout: 'few', image: [9, 8, 17], kernel: [3, 2], stride: [2, 3], padding: [1, 0, 0, 1], filters: 15 },
  { layout: 'middle', image: [8, 8, 1], kernel: [5, 5], stride: [1, 1], padding: [2, 2, 2, 2], filters: 33 },
  { layout: 'sparse', image: [2, 3, 15], kernel: [4, 4], stride: [1, 2], padding: [2, 1, 1, 2], filters: 5 },
  { layout: 'idle', image: [4, 4, 2], kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0], filters: 3 },
  { layout: 'even', image: [5, 5, 34], kernel: [1, 1], stride: [2, 2], padding: [0, 0, 0, 0], filters: 40 },
  { layout: 'one', image: [12, 21, 32], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 70 },
  { layout: 'many', image: [3, 3, 2], kernel: [2, 2], stride: [1, 1], padding: [0, 1, 0, 1], filters: 6 },
  // Maps of 1 x 1, several samples a shard: the pixels of a block are samples.
  { layout: 'large', image: [1, 1, 9], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 8 },
  { layout: 'large', image: [1, 1, 5], kernel: [1, 1], stride: [2, 2], padding: [0, 0, 0, 0], filters: 7 },
  { layout: 'one', image: [40, 40, 32], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], filters: 4 },
];

function geometry({ image, kernel, stride, padding }: WindowShape) {
  const [height, width, channels] = image;
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
    outHeight: Math.floor((height + padding[0] + padding[1] - kernel[0]) / stride[0]) + 1,
    outWidth: Math.floor((width + padding[2] + padding[3] - kernel[1]) / stride[1]) + 1,
  };
  return { window, pixels: height * width * channels, positions: window.outHeight * window.outWidth };
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

function title({ image, kernel, stride, filters }: WindowShape): string {
  return `${image.join('x')} by ${kernel.join('x')} step ${stride.join('x')} to ${filters}`;
}

/** More terms to an output than any scratch holds at once. */
// biome-ignore format: a table
const deepShapes: readonly WindowShape[] = [
  { layout: 'one', image: [1, 1, 33000], kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], filters: 2 },
  { layout: 'one', image: [1, 1, 2], kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], filters: 33000 },
];

/** Pooling: no window may lie in the padding alone. */
const pools = shapes.filter((shape) => {
  const covered = ([kernel, before, after]: readonly number[]) => Math.max(before!, after!) < kernel!;
  const [top, bottom, left, right] = shape.padding;
  return covered([shape.kernel[0], top, bottom]) && covered([shape.kernel[1], left, right]);
});

export const windowCases = {
  convForward: [...shapes, ...deepShapes].map((shape, i) => {
    const { window, pixels, positions } = geometry(shape);
    const { rows } = layouts[shape.layout];
    return batteryCase('convForward', title(shape), shape.layout, {
      y: output(rows * positions * shape.filters),
      x: input(rows * pixels),
      w: input(shape.kernel[0] * shape.kernel[1] * window.channels * shape.filters),
      bias: i % 3 === 2 ? null : input(shape.filters),
      ...window,
      filters: shape.filters,
      activation: i % 2,
    });
  }),

  convInputGradient: [...shapes, ...deepShapes].map((shape, i) => {
    const { window, pixels, positions } = geometry(shape);
    const { rows } = layouts[shape.layout];
    return batteryCase('convInputGradient', title(shape), shape.layout, {
      dx: output(rows * pixels),
      dy: input(rows * positions * shape.filters),
      w: input(shape.kernel[0] * shape.kernel[1] * window.channels * shape.filters),
      mask: i % 2 ? input(rows * pixels, rectified) : null,
      ...window,
      filters: shape.filters,
    });
  }),

  convWeightGradient: [...shapes, ...deepShapes].map((shape) => {
    const { window, pixels, positions } = geometry(shape);
    const { rows, ownNodes } = layouts[shape.layout];
    const stride = shape.kernel[0] * shape.kernel[1] * window.channels * shape.filters + 16;
    return batteryCase('convWeightGradient', title(shape), shape.layout, {
      dw: output(ownNodes * stride),
      stride,
      x: input(rows * pixels),
      dy: input(rows * positions * shape.filters),
      ...window,
      filters: shape.filters,
    });
  }),

  maxPoolForward: pools.map((shape, i) => {
    const { window, pixels, positions } = geometry(shape);
    const { rows } = layouts[shape.layout];
    return batteryCase('maxPoolForward', title(shape), shape.layout, {
      y: output(rows * positions * window.channels),
      choice: output(rows * positions * window.channels),
      x: input(rows * pixels, i % 2 ? rectified : signed), // rectified: many equal maxima
      ...window,
    });
  }),

  maxPoolBackward: pools.map((shape, i) => {
    const { window, pixels, positions } = geometry(shape);
    const { rows } = layouts[shape.layout];
    const outputs = rows * positions * window.channels;
    const tapsOf: number[][] = [];
    return batteryCase('maxPoolBackward', `${title(shape)}${i % 2 ? ' relu' : ''}`, shape.layout, {
      dx: output(rows * pixels),
      dy: input(outputs),
      choice: input(outputs, (u, output) => {
        const position = Math.floor(output / window.channels) % positions;
        tapsOf[position] ??= tapsInside(window, position);
        const taps = tapsOf[position];
        return taps[Math.floor(u * taps.length)]!;
      }),
      y: input(outputs, rectified),
      relu: i % 2,
      ...window,
    });
  }),

  averagePoolForward: pools.map((shape) => {
    const { window, pixels, positions } = geometry(shape);
    const { rows } = layouts[shape.layout];
    return batteryCase('averagePoolForward', title(shape), shape.layout, {
      y: output(rows * positions * window.channels),
      x: input(rows * pixels),
      ...window,
    });
  }),

  averagePoolBackward: pools.map((shape) => {
    const { window, pixels, positions } = geometry(shape);
    const { rows } = layouts[shape.layout];
    return batteryCase('averagePoolBackward', title(shape), shape.layout, {
      dx: output(rows * pixels),
      dy: input(rows * positions * window.channels),
      ...window,
    });
  }),
} as const;
