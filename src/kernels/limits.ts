// What sizes a kernel can do, where the arena would hold more: the kernels count in int32. The compiler refuses what exceeds a
// limit, so that no kernel wraps or loops without end. How much scratch a call needs is scratch.ts's to say. Pure.

import type { KernelName } from './kernel-list.ts';

/** A size that is too large: what it is, how large, and how large it may be. */
export interface Excess {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly remedy: string;
}

type Numbers = Readonly<Record<string, number>>;

/** Pixels of kernels, strides and padded rows: int32, and so are the sums of two of them. */
export const windowCountMax = 2 ** 30;

/** convInputGradient makes a pass for each of the strideHeight x strideWidth phases of the stride. */
export const strideAreaMax = 2 ** 16;

function excess(what: string, value: number, limit: number, remedy: string): Excess[] {
  return value > limit ? [{ what, value, limit, remedy }] : [];
}

/** The columns of padded images, and the taps of a window, are counted. */
function windowCounts(a: Numbers): Excess[] {
  const spanHigh = (a.outHeight! - 1) * a.strideHeight! + a.kernelHeight!;
  const spanWide = (a.outWidth! - 1) * a.strideWidth! + a.kernelWidth!;
  return [
    ...excess(
      'pixels of its kernel',
      a.kernelHeight! * a.kernelWidth!,
      windowCountMax,
      'use a smaller kernel',
    ),
    ...excess(
      'pixels from window to window',
      Math.max(a.strideHeight!, a.strideWidth!),
      windowCountMax,
      'use a smaller stride',
    ),
    ...excess('rows with padding', spanHigh, windowCountMax, 'use less padding'),
    ...excess('values in a padded row', spanWide * a.channels!, windowCountMax, 'use less padding'),
  ];
}

/** As every window, and its passes are counted. */
function windowOfGradient(a: Numbers): Excess[] {
  const stride = a.strideHeight! * a.strideWidth!;
  return [
    ...excess('pixels of its stride', stride, strideAreaMax, 'use a stride no larger than the image'),
    ...windowCounts(a),
  ];
}

/** Beside these, every kernel takes what the arena can hold: all other counts are sizes of tensors in it. */
const kernelLimits: { readonly [K in KernelName]?: (args: Numbers) => Excess[] } = {
  convForward: windowCounts,
  convWeightGradient: windowCounts,
  convInputGradient: windowOfGradient,
  maxPoolForward: windowCounts,
  maxPoolBackward: windowCounts,
  averagePoolForward: windowCounts,
  averagePoolBackward: windowCounts,
};

/** The first limit that a call exceeds, or null. `args`: its numbers by name. */
export function exceededLimit(kernel: KernelName, args: Numbers): Excess | null {
  return kernelLimits[kernel]?.(args)[0] ?? null;
}
