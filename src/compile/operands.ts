// Which operands' data an op's kernels read. The others only say which value is meant: a batch norm's gradients name
// the batch norm but read its input; the gradient of relu needs its output alone.

import type { Graph, Value, ValueId } from '../ir/graph.ts';
import type { OpName } from '../ir/ops.ts';

const all = (value: Value): readonly number[] => value.operands.map((_, i) => i);
const none = (): readonly number[] => [];
const first = (): readonly number[] => [0];
const firstTwo = (): readonly number[] => [0, 1];

const dataOperands: { readonly [K in OpName]: (value: Value<K>) => readonly number[] } = {
  input: none,
  target: none,
  parameter: none,
  statistic: none,
  dense: all,
  denseInputGradient: all,
  denseWeightGradient: all,
  biasGradient: all,
  conv2d: all,
  conv2dInputGradient: all,
  conv2dWeightGradient: all,
  maxPool: all,
  maxPoolGradient: first,
  averagePool: all,
  averagePoolGradient: all,
  batchNorm: all,
  batchNormInputGradient: first,
  batchNormGammaGradient: first,
  batchNormBetaGradient: first,
  unary: all,
  unaryGradient: ({ attributes }) => (attributes.kind === 'gelu' ? [0, 1] : [0, 2]),
  add: all,
  concat: all,
  slice: all,
  reshape: all,
  dropout: all,
  softmax: all,
  softmaxGradient: firstTwo,
  loss: all,
  lossGradient: all,
  metric: all,
};

/** The operands whose data the value's kernels read. */
export function dataOperandsOf(value: Value): readonly ValueId[] {
  const row = dataOperands[value.op] as (value: Value) => readonly number[];
  return row(value).map((index) => value.operands[index]!);
}

/** Which values the roots need, by id. Values named without reading their data count: they tell how to compute. */
export function liveValues(graph: Graph, roots: readonly ValueId[]): boolean[] {
  const live = graph.values.map(() => false);
  for (const root of roots) live[root] = true;
  for (const value of graph.values.toReversed()) {
    if (live[value.id]) for (const operand of value.operands) live[operand] = true;
  }
  return live;
}
