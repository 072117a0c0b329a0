// Softmax, losses and metrics: a row in, one number a row (and its gradient) out. Nothing is divided by the batch.

import { exp, log, logOnePlus } from '../../numerics/math.ts';
import { sigmoid } from './elementwise.ts';
import { type Lane, laneRows, type ReferenceKernel, virtualSum } from './lane.ts';

/** Calls body(row, offset of its first element) for this lane's rows. */
function forEachRow(lane: Lane, size: number, body: (row: number, first: number) => void): void {
  const { from, to } = laneRows(lane);
  for (let row = from; row < to; row += 1) body(row, row * size);
}

function maximumOf({ floats }: Lane, x: number, size: number): number {
  let maximum = floats[x]!;
  for (let i = 1; i < size; i += 1) if (floats[x + i]! > maximum) maximum = floats[x + i]!;
  return maximum;
}

/** exp(x - max x) of a row, and their sum. */
function exponentials(
  lane: Lane,
  x: number,
  size: number,
): { values: number[]; sum: number; maximum: number } {
  const { floats, round } = lane;
  const maximum = maximumOf(lane, x, size);
  const values = Array.from({ length: size }, (_, i) => round(exp(round(floats[x + i]! - maximum))));
  return { values, sum: virtualSum(lane, size, (i) => values[i]!), maximum };
}

export const softmaxForward: ReferenceKernel<'softmaxForward'> = (lane, a) => {
  forEachRow(lane, a.size, (_, first) => {
    const { values, sum } = exponentials(lane, a.x + first, a.size);
    values.forEach((value, i) => {
      lane.floats[a.y + first + i] = value / sum;
    });
  });
};

/** dx = y * (dy - sum of dy * y) */
export const softmaxBackward: ReferenceKernel<'softmaxBackward'> = (lane, a) => {
  const { floats, round } = lane;
  forEachRow(lane, a.size, (_, first) => {
    const mean = virtualSum(lane, a.size, (i) => floats[a.dy + first + i]! * floats[a.y + first + i]!);
    for (let i = first; i < first + a.size; i += 1)
      floats[a.dx + i] = floats[a.y + i]! * round(floats[a.dy + i]! - mean);
  });
};

export const softmaxCrossEntropy: ReferenceKernel<'softmaxCrossEntropy'> = (lane, a) => {
  const { floats, round } = lane;
  forEachRow(lane, a.size, (row, first) => {
    const { values, sum, maximum } = exponentials(lane, a.x + first, a.size);
    const target = floats[a.target + row]!;
    floats[a.loss + row] = round(log(sum)) - round(floats[a.x + first + target]! - maximum);
    if (a.dx < 0) return;
    values.forEach((value, i) => {
      floats[a.dx + first + i] = round(value / sum) - (i === target ? 1 : 0);
    });
  });
};

export const sigmoidCrossEntropy: ReferenceKernel<'sigmoidCrossEntropy'> = (lane, a) => {
  const { floats, round } = lane;
  forEachRow(lane, a.size, (row, first) => {
    const sum = virtualSum(lane, a.size, (i) => {
      const x = floats[a.x + first + i]!;
      return round(Math.max(x, 0) - x * floats[a.target + first + i]! + logOnePlus(exp(-Math.abs(x))));
    });
    floats[a.loss + row] = sum / a.size;
    if (a.dx < 0) return;
    for (let i = first; i < first + a.size; i += 1)
      floats[a.dx + i] = round(round(sigmoid(floats[a.x + i]!)) - floats[a.target + i]!) / a.size;
  });
};

export const meanSquaredError: ReferenceKernel<'meanSquaredError'> = (lane, a) => {
  const { floats, round } = lane;
  forEachRow(lane, a.size, (row, first) => {
    const difference = (i: number): number => round(floats[a.x + first + i]! - floats[a.target + first + i]!);
    floats[a.loss + row] = virtualSum(lane, a.size, (i) => difference(i) * difference(i)) / a.size;
    if (a.dx < 0) return;
    for (let i = 0; i < a.size; i += 1) floats[a.dx + first + i] = (2 * difference(i)) / a.size;
  });
};

export const classCorrect: ReferenceKernel<'classCorrect'> = (lane, a) => {
  const { floats } = lane;
  forEachRow(lane, a.size, (row, first) => {
    let best = 0;
    for (let i = 1; i < a.size; i += 1) if (floats[a.x + first + i]! > floats[a.x + first + best]!) best = i;
    floats[a.out + row] = best === floats[a.target + row] ? 1 : 0;
  });
};

export const binaryCorrect: ReferenceKernel<'binaryCorrect'> = (lane, a) => {
  const { floats } = lane;
  forEachRow(lane, a.size, (row, first) => {
    let correct = 0;
    for (let i = first; i < first + a.size; i += 1)
      if (floats[a.x + i]! > a.threshold === floats[a.target + i]! > 0.5) correct += 1;
    floats[a.out + row] = correct / a.size;
  });
};

export const absoluteError: ReferenceKernel<'absoluteError'> = (lane, a) => {
  const { floats, round } = lane;
  forEachRow(lane, a.size, (row, first) => {
    const error = (i: number): number =>
      round(Math.abs(floats[a.x + first + i]! - floats[a.target + first + i]!));
    floats[a.out + row] = virtualSum(lane, a.size, error) / a.size;
  });
};
