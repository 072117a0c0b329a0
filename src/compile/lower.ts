// Lowering: op -> kernel calls. One row an op; batch norm has a file of its own. What fusion absorbed never gets here.

import { assert, LockstepError } from '../errors.ts';
import type { Shape, Value, ValueId } from '../ir/graph.ts';
import type { OpName, WindowAttributes } from '../ir/ops.ts';
import { sizeOf } from '../ir/shapes.ts';
import { unaryKinds } from '../kernels/kernel-list.ts';
import { exceededLimit } from '../kernels/limits.ts';
import type { Call, Reference } from './instructions.ts';
import { lowerBatchNorm, lowerBatchNormGradients } from './lower-batch-norm.ts';
import { Lowering, type LoweringInput } from './lowering.ts';

type Rule<K extends OpName> = (value: Value<K>, to: Lowering) => void;

const noCode = (): void => {};

const rules: { readonly [K in OpName]: Rule<K> } = {
  input: noCode,
  target: noCode,
  parameter: noCode,
  statistic: noCode,

  dense: (value, to) => {
    const [x, w, bias] = value.operands as [ValueId, ValueId, ValueId?];
    to.push('denseForward', {
      y: to.at(value.id), x: to.at(x), w: to.at(w), bias: bias === undefined ? null : to.at(bias),
      inputs: to.size(x), outputs: to.size(value.id), activation: activationOf(value, to),
    }); // biome-ignore format: a table
  },
  denseInputGradient: (value, to) => {
    const [dy, w] = value.operands as [ValueId, ValueId];
    to.push('denseInputGradient', {
      dx: to.at(value.id), dy: to.at(dy), w: to.at(w), mask: maskOf(value, to),
      inputs: to.size(value.id), outputs: to.size(dy),
    }); // biome-ignore format: a table
  },
  denseWeightGradient: (value, to) => {
    const [x, dy] = value.operands as [ValueId, ValueId];
    const { out, stride } = to.gradientOf(value.id);
    to.push('denseWeightGradient', {
      dw: out, stride, x: to.at(x), dy: to.at(dy), inputs: to.size(x), outputs: to.size(dy),
    }); // biome-ignore format: a table
  },
  biasGradient: (value, to) => {
    const dy = value.operands[0]!;
    const { out, stride } = to.gradientOf(value.id);
    to.push('columnSums', { out, stride, x: to.at(dy), ...positionsOf(to.shape(dy), 'columns') });
  },
  conv2d: (value, to) => {
    const [x, w, bias] = value.operands as [ValueId, ValueId, ValueId?];
    to.push('convForward', {
      y: to.at(value.id), x: to.at(x), w: to.at(w), bias: bias === undefined ? null : to.at(bias),
      ...windowOf(value.attributes, to.shape(x), value.shape),
      filters: value.shape.at(-1)!, activation: activationOf(value, to),
    }); // biome-ignore format: a table
  },
  conv2dInputGradient: (value, to) => {
    const [dy, w] = value.operands as [ValueId, ValueId];
    to.push('convInputGradient', {
      dx: to.at(value.id), dy: to.at(dy), w: to.at(w), mask: maskOf(value, to),
      ...windowOf(value.attributes, value.attributes.inputShape, to.shape(dy)), filters: to.shape(dy).at(-1)!,
    }); // biome-ignore format: a table
  },
  conv2dWeightGradient: (value, to) => {
    const [x, dy] = value.operands as [ValueId, ValueId];
    const { out, stride } = to.gradientOf(value.id);
    to.push('convWeightGradient', {
      dw: out, stride, x: to.at(x), dy: to.at(dy),
      ...windowOf(value.attributes, to.shape(x), to.shape(dy)), filters: to.shape(dy).at(-1)!,
    }); // biome-ignore format: a table
  },
  maxPool: (value, to) => {
    const x = value.operands[0]!;
    const window = windowOf(value.attributes, to.shape(x), value.shape);
    to.push('maxPoolForward', { y: to.at(value.id), choice: choiceOf(value.id, to), x: to.at(x), ...window });
  },
  maxPoolGradient: (value, to) => {
    const [dy, x, y] = value.operands as [ValueId, ValueId, ValueId];
    to.push('maxPoolBackward', {
      dx: to.at(value.id), dy: to.at(dy), choice: choiceOf(y, to), y: to.at(y),
      relu: to.input.fusion.mask.has(value.id) ? 1 : 0,
      ...windowOf(value.attributes, to.shape(x), to.shape(dy)),
    }); // biome-ignore format: a table
  },
  averagePool: (value, to) => {
    const x = value.operands[0]!;
    const window = windowOf(value.attributes, to.shape(x), value.shape);
    to.push('averagePoolForward', { y: to.at(value.id), x: to.at(x), ...window });
  },
  averagePoolGradient: (value, to) => {
    const dy = value.operands[0]!;
    const window = windowOf(value.attributes, value.attributes.inputShape, to.shape(dy));
    to.push('averagePoolBackward', { dx: to.at(value.id), dy: to.at(dy), ...window });
  },
  batchNorm: lowerBatchNorm,
  batchNormInputGradient: lowerBatchNormGradients,
  batchNormGammaGradient: lowerBatchNormGradients,
  batchNormBetaGradient: lowerBatchNormGradients,

  unary: (value, to) => {
    const { kind, alpha } = value.attributes;
    const x = to.at(value.operands[0]!);
    to.push('unaryForward', {
      y: to.at(value.id),
      x,
      size: to.size(value.id),
      kind: unaryKinds.indexOf(kind),
      alpha,
    });
  },
  unaryGradient: (value, to) => {
    const [dy, x, y] = value.operands as [ValueId, ValueId, ValueId];
    const { kind, alpha } = value.attributes;
    const byInput = kind === 'gelu';
    to.push('unaryBackward', {
      dx: to.at(value.id), dy: to.at(dy), x: byInput ? to.at(x) : null, y: byInput ? null : to.at(y),
      size: to.size(value.id), kind: unaryKinds.indexOf(kind), alpha,
    }); // biome-ignore format: a table
  },
  add: (value, to) => {
    const [a, b] = value.operands as [ValueId, ValueId];
    to.push('add', {
      y: to.at(value.id), a: to.at(a), b: to.at(b), size: to.size(value.id), activation: activationOf(value, to),
    }); // biome-ignore format: a table
  },
  concat: (value, to) => {
    const { positions, columns } = positionsOf(value.shape, 'columns');
    let yFrom = 0;
    for (const x of value.operands) {
      const count = to.shape(x).at(-1)!;
      to.push('copyColumns', {
        y: to.at(value.id), yColumns: columns, yFrom, x: to.at(x), xColumns: count, xFrom: 0, count, positions,
      }); // biome-ignore format: a table
      yFrom += count;
    }
  },
  slice: (value, to) => {
    const x = value.operands[0]!;
    const { from, count } = value.attributes;
    const { positions, columns } = positionsOf(to.shape(x), 'columns');
    to.push('copyColumns', {
      y: to.at(value.id), yColumns: count, yFrom: 0, x: to.at(x), xColumns: columns, xFrom: from, count, positions,
    }); // biome-ignore format: a table
  },
  reshape: noCode,
  dropout: (value, to) => {
    const keep = 1 - value.attributes.rate;
    const threshold = Math.min(Math.floor(keep * 2 ** 32), 2 ** 32 - 1) | 0;
    to.push('dropout', {
      y: to.at(value.id), x: to.at(value.operands[0]!), size: to.size(value.id),
      layer: value.attributes.layer, threshold, scale: 1 / keep,
    }); // biome-ignore format: a table
  },
  softmax: (value, to) => {
    to.push('softmaxForward', { y: to.at(value.id), x: to.at(value.operands[0]!), size: to.size(value.id) });
  },
  softmaxGradient: (value, to) => {
    const [dy, y] = value.operands as [ValueId, ValueId];
    to.push('softmaxBackward', { dx: to.at(value.id), dy: to.at(dy), y: to.at(y), size: to.size(value.id) });
  },

  loss: (value, to) => {
    const gradient = to.input.fusion.lossGradient.get(value.id);
    const dx = gradient === undefined ? null : to.at(gradient);
    to.push(value.attributes.kind, { loss: to.at(value.id), dx, ...compared(value, to) });
    report(value.id, to);
  },
  lossGradient: noCode,
  metric: (value, to) => {
    const out = to.at(value.id);
    const { kind } = value.attributes;
    if (kind === 'binaryAccuracy') to.push('binaryCorrect', { out, ...compared(value, to), threshold: 0 });
    else
      to.push(kind === 'classAccuracy' ? 'classCorrect' : 'absoluteError', { out, ...compared(value, to) });
    report(value.id, to);
  },
};

/** The graph's live values as items, in the graph's order. */
export function lower(input: LoweringInput): Lowering {
  const to = new Lowering(input);
  to.items.push({
    kind: 'gather',
    writes: [input.state.inputs, input.state.targets].map((buffer) => ({
      buffer,
      from: 0,
      size: buffer.size,
    })),
  });
  for (const value of input.graph.values) {
    if (!input.live[value.id] || input.fusion.absorbed.has(value.id)) continue;
    const before = to.items.length;
    (rules[value.op] as Rule<OpName>)(value, to);
    for (const item of to.items.slice(before)) if (item.kind === 'kernel') checkLimits(item, value.layer);
  }
  return to;
}

/** Throws LOCKSTEP_MODEL_INVALID where the call is larger than its kernel can do. */
function checkLimits({ kernel, args }: Call, layer: string): void {
  const numbers = Object.entries(args).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
  const found = exceededLimit(kernel, Object.fromEntries(numbers));
  if (found === null) return;
  const { what, value, limit, remedy } = found;
  throw new LockstepError(
    'LOCKSTEP_MODEL_INVALID',
    `layer "${layer}" has ${value} ${what}, but its kernel (${kernel}) takes at most ${limit}; ${remedy}`,
  );
}

/** Once the last report is computed, all are summed by shard: one meeting of the lanes for all. */
function report(id: ValueId, to: Lowering): void {
  const { reports, values } = to.input.graph;
  const last = Math.max(...reports.map(({ value }) => value));
  assert(values[id]!.extent === 'row', 'a report is one number a row');
  if (id !== last) return;
  reports.forEach(({ value }, metric) => {
    to.push('shardSums', { x: to.at(value), metric, metrics: reports.length });
  });
}

function compared(value: Value, to: Lowering): { x: Reference; target: Reference; size: number } {
  const [prediction, target] = value.operands as [ValueId, ValueId];
  return { x: to.at(prediction), target: to.at(target), size: to.size(prediction) };
}

function activationOf(value: Value, to: Lowering): number {
  return to.input.fusion.relu.has(value.id) ? 1 : 0;
}

function maskOf(value: Value, to: Lowering): Reference | null {
  const mask = to.input.fusion.mask.get(value.id);
  return mask === undefined ? null : to.at(mask);
}

/** Which input each maximum came from, kept from maxPoolForward to maxPoolBackward. */
function choiceOf(pool: ValueId, to: Lowering): Reference {
  return to.rows(`${to.value(pool).layer}.choice`, to.size(pool));
}

function positionsOf<K extends string>(shape: Shape, last: K): { positions: number } & Record<K, number> {
  const columns = shape.at(-1)!;
  return { positions: sizeOf(shape) / columns, [last]: columns } as { positions: number } & Record<K, number>;
}

function windowOf({ kernel, stride, padding }: WindowAttributes, x: Shape, y: Shape) {
  assert(x.length === 3 && y.length === 3, 'windows slide over [height, width, channels]');
  return {
    height: x[0]!, width: x[1]!, channels: x[2]!,
    kernelHeight: kernel[0], kernelWidth: kernel[1], strideHeight: stride[0], strideWidth: stride[1],
    padTop: padding[0], padLeft: padding[2], outHeight: y[0]!, outWidth: y[1]!,
  }; // biome-ignore format: a table
}
