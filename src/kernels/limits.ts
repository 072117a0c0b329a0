// What sizes a kernel can do, where the arena would hold more: the scratch memory of a lane is fixed, and the kernels count in
// int32. The compiler refuses what exceeds a limit, so that no kernel overruns its scratch, loops without end or wraps. Pure.

import type { KernelName } from './kernel-list.ts';
import { scratchFloats } from './scratch.ts';

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

/**
 * Values of one padded window. Kernels that pad columns copy what the taps of an output pixel read into their scratch
 * (conv_data.h, conv_weight.h): at most half of it, so that packed weights and partial tiles have the other half.
 */
export const windowValuesMax = scratchFloats / 2 - 32;

/** convInputGradient makes a pass for each of the strideHeight x strideWidth phases of the stride. */
export const strideAreaMax = 2 ** 16;

const smaller = 'use a smaller kernel or fewer channels';

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

const padsColumns = (a: Numbers): boolean =>
  a.padLeft! > 0 || (a.outWidth! - 1) * a.strideWidth! + a.kernelWidth! - a.padLeft! > a.width!;

/** Forward and weight gradient read windows of x. */
function windowOfInput(a: Numbers): Excess[] {
  const values = Math.min(a.kernelHeight!, a.height!) * a.kernelWidth! * a.channels!;
  const tooLarge = padsColumns(a)
    ? excess('values in a padded window', values, windowValuesMax, smaller)
    : [];
  return [...tooLarge, ...windowCounts(a)];
}

/** The input gradient reads windows of dy, every stride-th tap at once. */
function windowOfGradient(a: Numbers): Excess[] {
  const high = Math.min(Math.ceil(a.kernelHeight! / a.strideHeight!), a.outHeight!);
  const values = high * Math.ceil(a.kernelWidth! / a.strideWidth!) * a.filters!;
  const isCopied = a.kernelWidth! > 1 || a.strideWidth! > 1 || a.padLeft! > 0;
  const stride = a.strideHeight! * a.strideWidth!;
  return [
    ...(isCopied
      ? excess(
          'values in a window of its gradient',
          values,
          windowValuesMax,
          'use a smaller kernel or fewer filters',
        )
      : []),
    ...excess('pixels of its stride', stride, strideAreaMax, 'use a stride no larger than the image'),
    ...windowCounts(a),
  ];
}

/** Beside these, every kernel takes what the arena can hold: all other counts are sizes of tensors in it. */
const kernelLimits: { readonly [K in KernelName]?: (args: Numbers) => Excess[] } = {
  convForward: windowOfInput,
  convWeightGradient: windowOfInput,
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
