// Kernels that work element by element: activations, addition, dropout.

import { erf, exp, expMinusOne, tanh } from '../../numerics/math.ts';
import { philox, randomPurposes } from '../../numerics/philox.ts';
import { type UnaryKind, unaryKinds } from '../kernel-list.ts';
import { type Lane, laneRows, type ReferenceKernel, relu } from './lane.ts';

/** y and dy/dx of every activation; the derivative may use x and y, as kernel-list.ts says. */
const activations: {
  readonly [K in UnaryKind]: {
    readonly value: (x: number, alpha: number) => number;
    readonly slope: (x: number, y: number, alpha: number) => number;
  };
} = {
  relu: { value: relu, slope: (_, y) => (y > 0 ? 1 : 0) },
  leakyRelu: { value: (x, alpha) => (x > 0 ? x : alpha * x), slope: (_, y, alpha) => (y > 0 ? 1 : alpha) },
  elu: {
    value: (x, alpha) => (x > 0 ? x : alpha * expMinusOne(x)),
    slope: (_, y, alpha) => (y > 0 ? 1 : y + alpha),
  },
  sigmoid: { value: sigmoid, slope: (_, y) => y * (1 - y) },
  tanh: { value: tanh, slope: (_, y) => 1 - y * y },
  gelu: { value: (x) => x * normalShare(x), slope: (x) => normalShare(x) + x * normalDensity(x) },
};

/** 1 / (1 + e^-x) */
export function sigmoid(x: number): number {
  return 1 / (1 + exp(-x));
}

/** The normal distribution: share below x, and density at x. */
function normalShare(x: number): number {
  return 0.5 * (1 + erf(x * Math.SQRT1_2));
}

function normalDensity(x: number): number {
  return 0.3989422804014327 * exp(-0.5 * x * x); // 1 / sqrt(2 pi)
}

/** Calls body for every element of this lane's rows of x[rows, size]. */
function forEachElement(lane: Lane, size: number, body: (element: number) => void): void {
  const { from, to } = laneRows(lane);
  for (let element = from * size; element < to * size; element += 1) body(element);
}

export const unaryForward: ReferenceKernel<'unaryForward'> = (lane, a) => {
  const { floats } = lane;
  const { value } = activations[unaryKinds[a.kind]!];
  forEachElement(lane, a.size, (i) => {
    floats[a.y + i] = value(floats[a.x + i]!, a.alpha);
  });
};

export const unaryBackward: ReferenceKernel<'unaryBackward'> = (lane, a) => {
  const { floats, round } = lane;
  const { slope } = activations[unaryKinds[a.kind]!];
  forEachElement(lane, a.size, (i) => {
    const x = a.x >= 0 ? floats[a.x + i]! : NaN;
    const y = a.y >= 0 ? floats[a.y + i]! : NaN;
    floats[a.dx + i] = floats[a.dy + i]! * round(slope(x, y, a.alpha));
  });
};

export const add: ReferenceKernel<'add'> = (lane, a) => {
  const { floats } = lane;
  forEachElement(lane, a.size, (i) => {
    const y = floats[a.a + i]! + floats[a.b + i]!;
    floats[a.y + i] = a.activation === 1 ? relu(y) : y;
  });
};

/** What is kept depends on seed, step, layer and sample alone: the same on whatever worker the sample falls. */
export const dropout: ReferenceKernel<'dropout'> = (lane, a) => {
  const { floats, ints, table } = lane;
  const words = new Uint32Array(4);
  forEachElement(lane, a.size, (i) => {
    const sample = ints[table.sampleIdsOffset + Math.floor(i / a.size)]!;
    const element = i % a.size;
    philox(table.seed, randomPurposes.dropout, table.step, a.layer, sample, element >>> 2, words);
    floats[a.y + i] = words[element & 3]! < a.threshold >>> 0 ? floats[a.x + i]! * a.scale : 0;
  });
};
