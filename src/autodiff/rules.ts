// The gradient rule of every op: given dy = dL/dy of a value y, dL/d(operand) for each operand, in order.
// An exhaustive table that reads like calculus. L is the sum of the losses of all rows.

import type { Shape, Value, ValueId } from '../ir/graph.ts';
import type { OpAttributes, OpName } from '../ir/ops.ts';
import type { SourceOp } from '../ir/shapes.ts';

/** What rules write with. */
export interface Calculus {
  /** A new value; it belongs to the layer of the value that is differentiated. */
  readonly op: <K extends Exclude<OpName, SourceOp>>(
    op: K,
    operands: readonly ValueId[],
    attributes: OpAttributes[K],
  ) => ValueId;
  readonly shapeOf: (id: ValueId) => Shape;
}

/** The gradient of one operand, made only where somebody needs it; null: this operand has none. */
export type OperandGradient = (() => ValueId) | null;

/** A loss starts the chain: its gradient with respect to itself is one, and its rule does not read dy. */
type GradientRule<K extends OpName> = (
  y: Value<K>,
  dy: ValueId,
  calculus: Calculus,
) => readonly OperandGradient[];

/** Sources have nothing to pass on; ops of the backward half are not differentiated again. */
const none = (): readonly OperandGradient[] => [];

const imageShape = (shape: Shape): readonly [number, number, number] => [shape[0]!, shape[1]!, shape[2]!];

export const gradientRules: { readonly [K in OpName]: GradientRule<K> } = {
  input: none,
  target: none,
  parameter: none,
  statistic: none,

  /** y = x w + b: dx = dy w^T, dw = x^T dy, db = sum of dy */
  dense: ({ operands: [x, w] }, dy, { op }) => [
    () => op('denseInputGradient', [dy, w!], {}),
    () => op('denseWeightGradient', [x!, dy], {}),
    () => op('biasGradient', [dy], {}),
  ],
  /** the same with a convolution for the product */
  conv2d: ({ operands: [x, w], attributes }, dy, { op, shapeOf }) => [
    () => op('conv2dInputGradient', [dy, w!], { ...attributes, inputShape: imageShape(shapeOf(x!)) }),
    () => op('conv2dWeightGradient', [x!, dy], attributes),
    () => op('biasGradient', [dy], {}),
  ],
  /** dx = dy at the first maximum of each window */
  maxPool: ({ id: y, operands: [x], attributes }, dy, { op }) => [
    () => op('maxPoolGradient', [dy, x!, y], attributes),
  ],
  /** dx = dy / (pixels in the window), for each window that a pixel is in */
  averagePool: ({ operands: [x], attributes }, dy, { op, shapeOf }) => [
    () => op('averagePoolGradient', [dy], { ...attributes, inputShape: imageShape(shapeOf(x!)) }),
  ],
  /** y = gamma xhat + beta (Ioffe and Szegedy 2015, section 3): dgamma = sum of dy xhat, dbeta = sum of dy */
  batchNorm: ({ id: y }, dy, { op }) => [
    () => op('batchNormInputGradient', [dy, y], {}),
    () => op('batchNormGammaGradient', [dy, y], {}),
    () => op('batchNormBetaGradient', [dy, y], {}),
    null,
    null,
  ],

  /** y = f(x): dx = dy f'(x) */
  unary: ({ id: y, operands: [x], attributes }, dy, { op }) => [
    () => op('unaryGradient', [dy, x!, y], attributes),
  ],
  /** y = a + b: da = db = dy */
  add: (_, dy) => [() => dy, () => dy],
  /** each part gets its part of dy */
  concat: ({ operands }, dy, { op, shapeOf }) => {
    let end = 0;
    return operands.map((part) => {
      const count = shapeOf(part).at(-1)!;
      const from = end;
      end += count;
      return () => op('slice', [dy], { from, count });
    });
  },
  reshape: ({ operands: [x] }, dy, { op, shapeOf }) => [() => op('reshape', [dy], { shape: shapeOf(x!) })],
  /** y = mask x / keep: dx = mask dy / keep, with the same mask */
  dropout: ({ attributes }, dy, { op }) => [() => op('dropout', [dy], attributes)],
  /** dx = y (dy - sum of dy y) */
  softmax: ({ id: y }, dy, { op }) => [() => op('softmaxGradient', [dy, y], {})],

  /** dL/dloss = 1: the loss is where the chain starts, dy is not read */
  loss: ({ operands: [prediction, target], attributes }, _, { op }) => [
    () => op('lossGradient', [prediction!, target!], attributes),
    null,
  ],
  metric: none,

  denseInputGradient: none,
  denseWeightGradient: none,
  biasGradient: none,
  conv2dInputGradient: none,
  conv2dWeightGradient: none,
  maxPoolGradient: none,
  averagePoolGradient: none,
  batchNormInputGradient: none,
  batchNormGammaGradient: none,
  batchNormBetaGradient: none,
  unaryGradient: none,
  slice: none,
  softmaxGradient: none,
  lossGradient: none,
};
