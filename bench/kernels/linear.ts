// The dense and convolution calls of a workload's training step, and what they are called in tables. Pure.

import { decodeInstruction } from '../../src/kernels/kernel-list.ts';
import type { TimedInstruction } from '../profile/timeline.ts';

export interface LinearCall {
  readonly kernel: string;
  /** For people: 256 x 1024 -> 4096, or 64 x 32x32x32 * 3x3 -> 32x32x64. */
  readonly shape: string;
  readonly from: number;
  readonly to: number;
  readonly flops: number;
}

/** One a shape, in the order of the step. `words`: the arena. */
export function linearCalls(
  instructions: readonly TimedInstruction[],
  words: Int32Array,
  rows: number,
): LinearCall[] {
  const calls = instructions
    .filter(({ flops }) => flops > 0)
    .map(({ kernel, from, to, flops }) => {
      const { args } = decodeInstruction(words, from);
      return { kernel, shape: shapeText(args, rows), from, to, flops };
    });
  const same = (a: LinearCall, b: LinearCall): boolean => a.kernel === b.kernel && a.shape === b.shape;
  return calls.filter((call, i) => calls.findIndex((other) => same(call, other)) === i);
}

function shapeText(args: Readonly<Record<string, number>>, rows: number): string {
  if (args.inputs !== undefined) return `${rows} x ${args.inputs} -> ${args.outputs}`;
  const { height, width, channels, kernelHeight, kernelWidth, outHeight, outWidth, filters } = args;
  return `${rows} x ${height}x${width}x${channels} * ${kernelHeight}x${kernelWidth} -> ${outHeight}x${outWidth}x${filters}`;
}
