// What an instruction has to do at least: multiply-adds of the linear kernels, and the memory its operands fill. Pure.

import { type Call, type Reference, readsOf, writesOf } from '../../src/compile/instructions.ts';
import type { KernelName } from '../../src/kernels/kernel-list.ts';

type Arguments = Readonly<Record<string, number>>;

const dense = ({ inputs, outputs }: Arguments): number => 2 * inputs! * outputs!;
const convolution = (args: Arguments): number =>
  2 *
  args.outHeight! *
  args.outWidth! *
  args.filters! *
  args.kernelHeight! *
  args.kernelWidth! *
  args.channels!;

const perRow: Partial<Record<KernelName, (args: Arguments) => number>> = {
  denseForward: dense,
  denseInputGradient: dense,
  denseWeightGradient: dense,
  convForward: convolution,
  convInputGradient: convolution,
  convWeightGradient: convolution,
};

/** Floating-point operations (2 a multiply-add) of an instruction over `rows` samples; 0 for kernels that are not linear.
    Taps on padding count, as they do where peers are counted. */
export function flopsOf(kernel: KernelName, args: Arguments, rows: number): number {
  return (perRow[kernel]?.(args) ?? 0) * rows;
}

/** Bytes of all operands, each once. Row tensors are counted in full (for the plan's largest batch). */
export function bytesOf(call: Call): number {
  const sizes = [...writesOf(call), ...readsOf(call)].map(sizeOf);
  return 4 * sizes.reduce((sum, size) => sum + size, 0);
}

function sizeOf({ size, repeat }: Reference): number {
  return size * (repeat?.count ?? 1);
}

/** The tensor an instruction is known by: the first it writes, else the first it reads. */
export function subjectOf(call: Call): string {
  const [reference] = [...writesOf(call), ...readsOf(call)];
  if (reference === undefined) return '';
  return reference.part === undefined ? reference.buffer.name : `${reference.buffer.name}:${reference.part}`;
}
