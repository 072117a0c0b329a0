// Differentiation: graphs with their backward half as golden texts, and what must hold of any of them. That the rules are
// right is shown by central differences (test/conformance/gradients.test.ts).

import { describe, expect, it } from 'vitest';
import { differentiate } from '../../../src/autodiff/differentiate.ts';
import { printGraph } from '../../../src/ir/print.ts';
import { buildModel } from '../../../src/nn/build.ts';
import { modelSchema } from '../../../src/nn/description.ts';
import { expectGolden } from '../../golden/golden.ts';
import { networks } from '../nn/networks.ts';

describe('graphs and their gradients, as text', () => {
  it.each(Object.entries(networks))('%s', (name, { model, options }) => {
    const { graph } = buildModel(modelSchema.parse(model), options);
    expectGolden(`${name}.graph.txt`, printGraph(graph));
    expectGolden(`${name}.gradients.graph.txt`, printGraph(differentiate(graph)));
  });
});

describe('differentiation', () => {
  const trainingGraph = (name: keyof typeof networks) => {
    const { model, options } = networks[name];
    return differentiate(buildModel(modelSchema.parse(model), options).graph);
  };

  it('keeps the forward half as it was', () => {
    const { model, options } = networks.cnn;
    const { graph } = buildModel(modelSchema.parse(model), options);
    expect(differentiate(graph).values.slice(0, graph.values.length)).toEqual(graph.values);
  });

  it('makes no gradient that no parameter needs', () => {
    const inputGradients = trainingGraph('mlp').values.filter(({ op }) => op === 'denseInputGradient');
    expect(inputGradients.map(({ layer }) => layer)).toEqual(['dense2']);
    expect(trainingGraph('cnn').values.filter(({ op }) => op === 'conv2dInputGradient')).toHaveLength(1);
  });

  it('gives the last layer its gradients first', () => {
    const { gradients } = trainingGraph('cnn');
    const order = gradients.map(({ gradient }) => gradient);
    expect(order.at(-1)).toBeLessThan(order[0]!);
  });

  it('adds the contributions of several users in one order', () => {
    const { values } = trainingGraph('graph');
    const sums = values.filter(({ op, layer }) => op === 'add' && layer === 'stem');
    expect(sums).toHaveLength(3);
    for (const [i, sum] of sums.slice(1).entries()) expect(sum.operands[0]).toBe(sums[i]!.id);
  });
});
