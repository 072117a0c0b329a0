// The verifier finds each way in which a graph can be illegal; shape rules refuse operands that do not fit.

import { describe, expect, it } from 'vitest';
import { differentiate } from '../../../src/autodiff/differentiate.ts';
import type { TrainingGraph, Value } from '../../../src/ir/graph.ts';
import { inferType, row, whole } from '../../../src/ir/shapes.ts';
import { verifyGraph } from '../../../src/ir/verify.ts';
import { buildModel } from '../../../src/nn/build.ts';
import { modelSchema } from '../../../src/nn/description.ts';
import { networks } from '../nn/networks.ts';

const { model, options } = networks.mlp;
const legal = differentiate(buildModel(modelSchema.parse(model), options).graph);
const dense = legal.values.find((value) => value.op === 'dense')!;

/** The legal graph with one value changed. */
function changed(id: number, change: Partial<Value>): TrainingGraph {
  return {
    ...legal,
    values: legal.values.map((value) => (value.id === id ? ({ ...value, ...change } as Value) : value)),
  };
}

describe('verifyGraph', () => {
  it('passes what the builder and autodiff make', () => {
    for (const network of Object.values(networks)) {
      const { graph } = buildModel(modelSchema.parse(network.model), network.options);
      verifyGraph(graph, 'test');
      verifyGraph(differentiate(graph), 'test');
    }
  });

  const [first, second] = legal.gradients as [
    TrainingGraph['gradients'][number],
    TrainingGraph['gradients'][number],
  ];
  it.each<[string, TrainingGraph, RegExp]>([
    ['a use before the value', changed(dense.id, { operands: [dense.id, 1] }), /comes before/],
    ['a wrong shape', changed(dense.id, { shape: [7] }), /shape is \[6\], not \[7\]/],
    ['a wrong extent', changed(dense.id, { extent: 'whole' }), /extent is row/],
    ['a wrong id', changed(dense.id, { id: 99 }), /its id is its place/],
    [
      'one name for two tensors',
      changed(2, { attributes: { name: 'dense1.weight' } }),
      /name dense1.weight is its own/,
    ],
    ['a gradient too few', { ...legal, gradients: legal.gradients.slice(1) }, /one gradient a parameter/],
    [
      'a gradient of another shape',
      { ...legal, gradients: [{ ...first, gradient: second.gradient }, ...legal.gradients.slice(1)] },
      /has the shape of/,
    ],
    [
      'a report that is not one number',
      { ...legal, reports: [{ name: 'loss', value: dense.id }] },
      /one number a row/,
    ],
    ['a value nobody uses', { ...legal, reports: legal.reports.slice(0, 1) }, /is used/],
  ])('finds %s', (_, graph, message) => {
    expect(() => verifyGraph(graph, 'test')).toThrow(message);
    expect(() => verifyGraph(graph, 'test')).toThrow(/after test/);
  });
});

const window = { kernel: [3, 3], stride: [2, 2], padding: [1, 0, 1, 0] } as const;

describe('shape rules', () => {
  it('of windows', () => {
    expect(inferType('maxPool', [row(8, 9, 4)], window)).toEqual(row(4, 4, 4));
    expect(inferType('conv2d', [row(8, 8, 4), whole(3, 3, 4, 5), whole(5)], window)).toEqual(row(4, 4, 5));
    expect(inferType('conv2dWeightGradient', [row(8, 8, 4), row(4, 4, 5)], window)).toEqual(
      whole(3, 3, 4, 5),
    );
  });

  it.each<[string, () => unknown]>([
    ['dense with other inputs than its weights', () => inferType('dense', [row(3), whole(4, 2)], {})],
    ['a bias that does not fit', () => inferType('dense', [row(4), whole(4, 2), whole(3)], {})],
    ['add of two shapes', () => inferType('add', [row(3), row(4)], {})],
    ['add of parameters', () => inferType('add', [whole(3), whole(3)], {})],
    ['a reshape to another size', () => inferType('reshape', [row(3, 4)], { shape: [13] })],
    ['a slice beyond the end', () => inferType('slice', [row(4)], { from: 3, count: 2 })],
    [
      'a class target of two numbers',
      () => inferType('loss', [row(4), row(2)], { kind: 'softmaxCrossEntropy' }),
    ],
    [
      'a gradient that is not the shape of y',
      () => inferType('maxPoolGradient', [row(3, 3, 4), row(8, 8, 4), row(4, 4, 4)], window),
    ],
  ])('refuse %s', (_, infer) => {
    expect(infer).toThrow(/LOCKSTEP_INTERNAL|internal error/);
  });
});
