// How much scratch a lane has, in floats: packed panels, partial tiles and the stacks of the tree live there.

import type { KernelName } from './kernel-list.ts';

/** Floats of one lane's scratch, unless a kernel needs more: 4 MiB. */
export const scratchFloats = 1024 * 1024;

/**
 * Floats that a call needs. A weight gradient copies padded rows of x in pieces as small as the window of one output
 * pixel, but no smaller; half of the usual scratch is enough for the rest. Every other kernel works with whatever there is.
 */
export function scratchFloatsFor(kernel: KernelName, args: Readonly<Record<string, unknown>>): number {
  if (kernel !== 'convWeightGradient') return scratchFloats;
  const window = Number(args.kernelHeight) * Number(args.kernelWidth) * Number(args.channels);
  return Math.max(scratchFloats, scratchFloats / 2 + Math.ceil(window / 16) * 16);
}
