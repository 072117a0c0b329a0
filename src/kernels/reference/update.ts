// The update: the gradient's norm, the clip factor, and the optimizers over flat vectors.

import { sqrt } from '../../numerics/math.ts';
import { splitOf } from '../../numerics/tree.ts';
import { normBlockSize } from '../kernel-list.ts';
import { type Lane, laneShare, multiplyAdd, type ReferenceKernel, virtualSum } from './lane.ts';

/** In float64 whatever the form of the backend; stores round. */
export const blockNorms: ReferenceKernel<'blockNorms'> = (lane, a) => {
  const { floats, table } = lane;
  const { from, to } = laneShare(lane, Math.ceil(a.count / normBlockSize));
  for (let block = from; block < to; block += 1) {
    const first = block * normBlockSize;
    const size = Math.min(normBlockSize, a.count - first);
    const square = (i: number): number => floats[a.x + first + i]! * floats[a.x + first + i]!;
    const squares = virtualSum({ ...lane, round: (value) => value }, size, square);
    floats[a.blocks + block] = sqrt(squares) * table.inverseWeight;
  }
};

export const clipFactor: ReferenceKernel<'clipFactor'> = (lane, a) => {
  const { floats, round, table } = lane;
  if (lane.lane !== 0) return;
  const squares = (lo: number, hi: number): number => {
    if (hi - lo === 1) return floats[a.blocks + lo]! * floats[a.blocks + lo]!;
    const split = splitOf(lo, hi);
    return squares(lo, split) + squares(split, hi);
  };
  const norm = a.count === 0 ? 0 : round(sqrt(squares(0, a.count)));
  floats[a.clip] = norm;
  floats[a.clip + 1] = a.maximum < norm ? a.maximum / norm : 1;
  floats[table.resultsOffset] = norm;
};

interface UpdateArguments {
  readonly w: number;
  readonly g: number;
  readonly count: number;
  readonly clip: number;
  readonly decay: number;
  readonly decoupled: number;
}

/**
 * For every element of this lane's share: the mean gradient, clipped, with L2 (g + decay * w); the weight after
 * decoupled decay; then apply(i, g, w) gives the new weight.
 */
function update(lane: Lane, a: UpdateArguments, apply: (i: number, g: number, w: number) => number): void {
  const { floats, round, table } = lane;
  const factor = a.clip >= 0 ? floats[a.clip + 1]! : 1;
  const scale = round(table.inverseWeight * factor);
  const shrink = round(-table.learningRate * a.decoupled);
  const { from, to } = laneShare(lane, a.count);
  for (let i = from; i < to; i += 1) {
    const w = floats[a.w + i]!;
    const g = multiplyAdd(lane, a.decay, w, round(floats[a.g + i]! * scale));
    floats[a.w + i] = apply(i, g, multiplyAdd(lane, shrink, w, w));
  }
}

export const sgd: ReferenceKernel<'sgd'> = (lane, a) => {
  update(lane, a, (_, g, w) => multiplyAdd(lane, -lane.table.learningRate, g, w));
};

export const momentum: ReferenceKernel<'momentum'> = (lane, a) => {
  update(lane, a, (i, g, w) => {
    const v = multiplyAdd(lane, a.momentum, lane.floats[a.v + i]!, g);
    lane.floats[a.v + i] = v;
    const direction = a.nesterov === 1 ? multiplyAdd(lane, a.momentum, v, g) : v;
    return multiplyAdd(lane, -lane.table.learningRate, direction, w);
  });
};

export const adam: ReferenceKernel<'adam'> = (lane, a) => {
  const { floats, round, table } = lane;
  update(lane, a, (i, g, w) => {
    const m = multiplyAdd(lane, a.beta1, floats[a.m + i]!, round(round(1 - a.beta1) * g));
    const v = multiplyAdd(lane, a.beta2, floats[a.v + i]!, round(round(1 - a.beta2) * round(g * g)));
    floats[a.m + i] = m;
    floats[a.v + i] = v;
    const deviation = round(round(sqrt(round(v / table.biasCorrection2))) + a.epsilon);
    const direction = round(round(m / table.biasCorrection1) / deviation);
    return multiplyAdd(lane, -table.learningRate, direction, w);
  });
};
