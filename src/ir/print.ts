// A graph as text, one value a line; the golden tests read it, and so do people.
//   %5 = conv2d %0 %3 %4 kernel 3x3 stride 1x1 padding 1 1 1 1 : rows [28, 28, 8]  # conv1

import type { Graph, TrainingGraph, Value } from './graph.ts';
import type { OpAttributes, OpName, WindowAttributes } from './ops.ts';
import { showShape } from './shapes.ts';

type AttributeText = { readonly [K in OpName]: (attributes: OpAttributes[K]) => string };

const nothing = (): string => '';
const named = ({ name }: { readonly name: string }): string => `"${name}"`;
const kind = (attributes: { readonly kind: string }): string => attributes.kind;
const window = ({ kernel, stride, padding }: WindowAttributes): string =>
  `kernel ${kernel.join('x')} stride ${stride.join('x')} padding ${padding.join(' ')}`;
const unary = (attributes: OpAttributes['unary']): string =>
  attributes.kind === 'leakyRelu' || attributes.kind === 'elu'
    ? `${attributes.kind} alpha ${attributes.alpha}`
    : attributes.kind;

const attributeText: AttributeText = {
  input: named,
  target: named,
  parameter: named,
  statistic: named,
  dense: nothing,
  denseInputGradient: nothing,
  denseWeightGradient: nothing,
  biasGradient: nothing,
  conv2d: window,
  conv2dInputGradient: window,
  conv2dWeightGradient: window,
  maxPool: window,
  maxPoolGradient: window,
  averagePool: window,
  averagePoolGradient: window,
  batchNorm: ({ sync, epsilon, momentum }) => `sync ${sync} epsilon ${epsilon} momentum ${momentum}`,
  batchNormInputGradient: nothing,
  batchNormGammaGradient: nothing,
  batchNormBetaGradient: nothing,
  unary,
  unaryGradient: unary,
  add: nothing,
  concat: nothing,
  slice: ({ from, count }) => `from ${from} count ${count}`,
  reshape: nothing,
  dropout: ({ rate, layer }) => `rate ${rate} layer ${layer}`,
  softmax: nothing,
  softmaxGradient: nothing,
  loss: kind,
  lossGradient: kind,
  metric: kind,
};

function printAttributes<K extends OpName>(value: Value<K>): string {
  return attributeText[value.op as K](value.attributes as OpAttributes[K]);
}

/** One value: id, op, operands, attributes, extent and shape, layer. */
export function printValue(value: Value): string {
  const words = [value.op, ...value.operands.map((id) => `%${id}`), printAttributes(value)];
  const type = `${value.extent === 'row' ? 'rows ' : ''}${showShape(value.shape)}`;
  return `%${value.id} = ${words.filter(Boolean).join(' ')} : ${type}  # ${value.layer}`;
}

/** The whole graph; ends with its output, reports and gradients. */
export function printGraph(graph: Graph | TrainingGraph): string {
  const name = (id: number): string => {
    const value = graph.values[id];
    return value?.op === 'parameter' ? value.attributes.name : `%${id}`;
  };
  const gradients = 'gradients' in graph ? graph.gradients : [];
  return [
    ...graph.values.map(printValue),
    `output %${graph.output}`,
    ...graph.reports.map((report) => `report ${report.name} %${report.value}`),
    ...gradients.map((pair) => `gradient of ${name(pair.parameter)} %${pair.gradient}`),
    '',
  ].join('\n');
}
