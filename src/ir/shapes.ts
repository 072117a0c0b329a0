// The shape rule of every op: what it gives for what it is given. One exhaustive table; the graph builder infers with
// it and the verifier checks with it. A rule asserts: telling a user about shapes is the layers' business (nn/).

import { assert } from '../errors.ts';
import type { Extent, Shape } from './graph.ts';
import type { OpAttributes, OpName, WindowAttributes } from './ops.ts';

/** Extent and shape of a value. */
export interface ValueType {
  readonly extent: Extent;
  readonly shape: Shape;
}

type ShapeRule<K extends OpName> = (operands: readonly ValueType[], attributes: OpAttributes[K]) => ValueType;

/** Ops without operands: their shape is declared, not inferred. */
export type SourceOp = 'input' | 'target' | 'parameter' | 'statistic';

export const row = (...shape: number[]): ValueType => ({ extent: 'row', shape });
export const whole = (...shape: number[]): ValueType => ({ extent: 'whole', shape });

export function sizeOf(shape: Shape): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i]);
}

export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Where a window fits along one axis: floor((size + padding - kernel) / stride) + 1; below 1 where it does not. */
export function windowSteps(size: number, kernel: number, stride: number, padding: number): number {
  return Math.floor((size + padding - kernel) / stride) + 1;
}

/** Height and width after a window over an image. */
export function windowOutput(
  image: Shape,
  { kernel, stride, padding }: WindowAttributes,
): [height: number, width: number] {
  const [top, bottom, left, right] = padding;
  return [
    windowSteps(image[0]!, kernel[0], stride[0], top + bottom),
    windowSteps(image[1]!, kernel[1], stride[1], left + right),
  ];
}

function operandsAre(operands: readonly ValueType[], ...ranks: (number | 'any')[]): void {
  assert(operands.length === ranks.length, `${ranks.length} operands, got ${operands.length}`);
  ranks.forEach((rank, i) => {
    const shape = operands[i]!.shape;
    assert(rank === 'any' || shape.length === rank, `operand ${i} has rank ${rank}, got ${showShape(shape)}`);
  });
}

function allRows(operands: readonly ValueType[]): void {
  for (const { extent } of operands) assert(extent === 'row', 'operand is a row value');
}

/** All operands are rows of one shape; the result is another. */
const elementwise =
  (count: number) =>
  (operands: readonly ValueType[]): ValueType => {
    assert(operands.length === count, `${count} operands, got ${operands.length}`);
    allRows(operands);
    for (const { shape } of operands) {
      assert(
        sameShape(shape, operands[0]!.shape),
        `equal shapes, got ${operands.map((o) => showShape(o.shape)).join(' ')}`,
      );
    }
    return operands[0]!;
  };

/** (x, w[, bias]): bias has one element for each of the last dimension of w. */
function biasFits(operands: readonly ValueType[]): void {
  const [x, w, bias] = operands;
  assert(x?.extent === 'row' && w?.extent === 'whole', 'x is a row value and w a whole tensor');
  if (bias)
    assert(bias.extent === 'whole' && sameShape(bias.shape, w.shape.slice(-1)), 'bias fits the weights');
}

function pooled(x: ValueType, window: WindowAttributes): ValueType {
  assert(x.extent === 'row' && x.shape.length === 3, `an image, got ${showShape(x.shape)}`);
  return row(...windowOutput(x.shape, window), x.shape[2]!);
}

function equal(a: ValueType, b: ValueType, what: string): void {
  assert(
    a.extent === b.extent && sameShape(a.shape, b.shape),
    `${what}: ${showShape(a.shape)} and ${showShape(b.shape)}`,
  );
}

/** (dy, y = a batchNorm's value): one number a channel. */
const perChannel = (operands: readonly ValueType[]): ValueType => {
  operandsAre(operands, 'any', 'any');
  equal(operands[0]!, operands[1]!, 'dy and y agree');
  return whole(operands[0]!.shape.at(-1)!);
};

/** (prediction, target) */
function predictionAndTarget(operands: readonly ValueType[], classIndex: boolean): ValueType {
  operandsAre(operands, 1, 1);
  allRows(operands);
  const [prediction, target] = operands as [ValueType, ValueType];
  const expected = classIndex ? 1 : prediction.shape[0]!;
  assert(target.shape[0] === expected, `target of ${expected}, got ${showShape(target.shape)}`);
  return prediction;
}

const declared = 'declared' as const;

export const shapeRules: {
  readonly [K in OpName]: K extends SourceOp ? typeof declared : ShapeRule<K>;
} = {
  input: declared,
  target: declared,
  parameter: declared,
  statistic: declared,

  dense: (operands) => {
    operandsAre(operands.slice(0, 2), 1, 2);
    biasFits(operands);
    const [x, w] = operands as [ValueType, ValueType];
    assert(x.shape[0] === w.shape[0], `inner sizes agree: ${showShape(x.shape)} and ${showShape(w.shape)}`);
    return row(w.shape[1]!);
  },
  denseInputGradient: (operands) => {
    operandsAre(operands, 1, 2);
    const [dy, w] = operands as [ValueType, ValueType];
    assert(dy.shape[0] === w.shape[1], `outer sizes agree: ${showShape(dy.shape)} and ${showShape(w.shape)}`);
    return row(w.shape[0]!);
  },
  denseWeightGradient: (operands) => {
    operandsAre(operands, 1, 1);
    allRows(operands);
    return whole(operands[0]!.shape[0]!, operands[1]!.shape[0]!);
  },
  biasGradient: (operands) => {
    operandsAre(operands, 'any');
    allRows(operands);
    return whole(operands[0]!.shape.at(-1)!);
  },
  conv2d: (operands, window) => {
    operandsAre(operands.slice(0, 2), 3, 4);
    biasFits(operands);
    const [x, w] = operands as [ValueType, ValueType];
    assert(x.shape[2] === w.shape[2], `channels agree: ${showShape(x.shape)} and ${showShape(w.shape)}`);
    assert(sameShape(window.kernel, w.shape.slice(0, 2)), `the window is the weights' ${showShape(w.shape)}`);
    return row(...windowOutput(x.shape, window), w.shape[3]!);
  },
  conv2dInputGradient: (operands, { inputShape, ...window }) => {
    operandsAre(operands, 3, 4);
    const [dy, w] = operands as [ValueType, ValueType];
    equal(dy, row(...windowOutput(inputShape, window), w.shape[3]!), 'dy is the shape of y');
    assert(inputShape[2] === w.shape[2], 'channels agree');
    return row(...inputShape);
  },
  conv2dWeightGradient: (operands, window) => {
    operandsAre(operands, 3, 3);
    const [x, dy] = operands as [ValueType, ValueType];
    equal(dy, row(...windowOutput(x.shape, window), dy.shape[2]!), 'dy is the shape of y');
    return whole(...window.kernel, x.shape[2]!, dy.shape[2]!);
  },
  maxPool: ([x], window) => pooled(x!, window),
  maxPoolGradient: (operands, window) => {
    operandsAre(operands, 3, 3, 3);
    const [dy, x, y] = operands as [ValueType, ValueType, ValueType];
    equal(y, pooled(x, window), 'y is the pooled x');
    equal(dy, y, 'dy and y agree');
    return x;
  },
  averagePool: ([x], window) => pooled(x!, window),
  averagePoolGradient: (operands, { inputShape, ...window }) => {
    operandsAre(operands, 3);
    equal(operands[0]!, pooled(row(...inputShape), window), 'dy is the shape of y');
    return row(...inputShape);
  },
  batchNorm: (operands) => {
    operandsAre(operands, 'any', 1, 1, 1, 1);
    const [x, ...channels] = operands as [ValueType, ...ValueType[]];
    for (const vector of channels) equal(vector, whole(x.shape.at(-1)!), 'one number a channel');
    return x;
  },
  batchNormInputGradient: elementwise(2),
  batchNormGammaGradient: perChannel,
  batchNormBetaGradient: perChannel,

  unary: elementwise(1),
  unaryGradient: elementwise(3),
  add: elementwise(2),
  concat: (operands) => {
    allRows(operands);
    assert(operands.length >= 2, 'two operands or more');
    const head = operands[0]!.shape.slice(0, -1);
    for (const { shape } of operands)
      assert(sameShape(shape.slice(0, -1), head), 'equal but for the last dimension');
    return row(
      ...head,
      operands.reduce((sum, { shape }) => sum + shape.at(-1)!, 0),
    );
  },
  slice: (operands, { from, count }) => {
    operandsAre(operands, 'any');
    const { shape } = operands[0]!;
    assert(
      from >= 0 && count > 0 && from + count <= shape.at(-1)!,
      'the part lies inside the last dimension',
    );
    return row(...shape.slice(0, -1), count);
  },
  reshape: (operands, { shape }) => {
    operandsAre(operands, 'any');
    assert(sizeOf(operands[0]!.shape) === sizeOf(shape), 'a reshape keeps the number of elements');
    return row(...shape);
  },
  dropout: elementwise(1),
  softmax: (operands) => {
    operandsAre(operands, 1);
    return elementwise(1)(operands);
  },
  softmaxGradient: (operands) => {
    operandsAre(operands, 1, 1);
    return elementwise(2)(operands);
  },

  loss: (operands, { kind }) => {
    predictionAndTarget(operands, kind === 'softmaxCrossEntropy');
    return row();
  },
  lossGradient: (operands, { kind }) => predictionAndTarget(operands, kind === 'softmaxCrossEntropy'),
  metric: (operands, { kind }) => {
    predictionAndTarget(operands, kind === 'classAccuracy');
    return row();
  },
};

/** The type of a value of op `op`; asserts where the operands do not fit. Not for sources. */
export function inferType<K extends OpName>(
  op: K,
  operands: readonly ValueType[],
  attributes: OpAttributes[K],
): ValueType {
  const rule = shapeRules[op] as ShapeRule<K> | typeof declared;
  assert(rule !== declared, `${op} declares its shape`);
  return rule(operands, attributes);
}

export function isSource(op: OpName): op is SourceOp {
  return shapeRules[op] === declared;
}
