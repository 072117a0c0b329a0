// Dense layers: three matrix products, each element a chain of fused multiply-adds over ascending k.

import {
  type Lane,
  laneShare,
  longSumValue,
  multiplyAdd,
  type ReferenceKernel,
  relu,
  shardRows,
} from './lane.ts';
import { writeNodes } from './nodes.ts';

/** Sum over k of a[k] * b[k], from +0, ascending; `a` and `b` are offsets with strides. */
function dot(lane: Lane, count: number, a: number, aStride: number, b: number, bStride: number): number {
  const { floats } = lane;
  let sum = 0;
  for (let k = 0; k < count; k += 1)
    sum = multiplyAdd(lane, floats[a + k * aStride]!, floats[b + k * bStride]!, sum);
  return sum;
}

/** y[rows, outputs] = activation(x[rows, inputs] . w[inputs, outputs] + bias) */
export const denseForward: ReferenceKernel<'denseForward'> = (lane, a) => {
  const { floats, round } = lane;
  const { from, to } = laneShare(lane, lane.table.rows * a.outputs);
  for (let i = from; i < to; i += 1) {
    const row = Math.floor(i / a.outputs);
    const output = i % a.outputs;
    let y = dot(lane, a.inputs, a.x + row * a.inputs, 1, a.w + output, a.outputs);
    if (a.bias >= 0) y = round(y + floats[a.bias + output]!);
    floats[a.y + i] = a.activation === 1 ? relu(y) : y;
  }
};

/** dx[rows, inputs] = dy[rows, outputs] . w^T, 0 where mask <= 0 */
export const denseInputGradient: ReferenceKernel<'denseInputGradient'> = (lane, a) => {
  const { floats } = lane;
  const { from, to } = laneShare(lane, lane.table.rows * a.inputs);
  for (let i = from; i < to; i += 1) {
    const row = Math.floor(i / a.inputs);
    const input = i % a.inputs;
    const dx = dot(lane, a.outputs, a.dy + row * a.outputs, 1, a.w + input * a.outputs, 1);
    floats[a.dx + i] = a.mask >= 0 && !(floats[a.mask + i]! > 0) ? 0 : dx;
  }
};

/** own nodes of dw[inputs, outputs] = x^T . dy */
export const denseWeightGradient: ReferenceKernel<'denseWeightGradient'> = (lane, a) => {
  writeNodes(lane, a.dw, a.stride, laneShare(lane, a.inputs * a.outputs), (shard, element) => {
    const { from, to } = shardRows(lane, shard);
    const x = a.x + from * a.inputs + Math.floor(element / a.outputs);
    const dy = a.dy + from * a.outputs + (element % a.outputs);
    return dot(lane, to - from, x, a.inputs, dy, a.outputs);
  });
};

/** own nodes of out[columns] = column sums of x[rows * positions, columns] */
export const columnSums: ReferenceKernel<'columnSums'> = (lane, a) => {
  const { floats, round } = lane;
  writeNodes(lane, a.out, a.stride, laneShare(lane, a.columns), (shard, column) => {
    const { from, to } = shardRows(lane, shard);
    return longSumValue(lane, (to - from) * a.positions, (sum, i) =>
      round(sum + floats[a.x + (from * a.positions + i) * a.columns + column]!),
    );
  });
};
