// Reverse-mode differentiation of a graph: appends the backward half. Which gradient an op has is in rules.ts.

import { assert } from '../errors.ts';
import type { Graph, TrainingGraph, Value, ValueId } from '../ir/graph.ts';
import { GraphBuilder } from '../ir/graph-builder.ts';
import type { OpName } from '../ir/ops.ts';
import { verifyGraph } from '../ir/verify.ts';
import { type Calculus, gradientRules, type OperandGradient } from './rules.ts';

/**
 * The graph with the gradient of the loss (summed over rows) for each parameter, in the graph's order of parameters.
 * Where a value has several users, their contributions are added one by one, the last user's first; gradients that no
 * parameter needs, such as the first layer's input's, are never made.
 */
export function differentiate(graph: Graph): TrainingGraph {
  const builder = new GraphBuilder(graph.values);
  const needed = reachedByParameters(graph);
  const contributions = new Map<ValueId, ValueId[]>();
  const loss = graph.reports[0];
  assert(loss !== undefined, 'a graph reports its loss');
  const gradients = new Map<ValueId, ValueId>();

  for (const value of graph.values.slice(0, loss.value + 1).reverse()) {
    if (!needed[value.id]) continue;
    const isLoss = value.id === loss.value;
    const parts = contributions.get(value.id);
    if (!parts && !isLoss) continue;
    const calculus = calculusFor(builder, value);
    const dy = isLoss ? value.id : sum(parts!, calculus);
    if (value.op === 'parameter') gradients.set(value.id, dy);
    const partials = partialsOf(value, dy, calculus);
    // Parameters' gradients ahead of the input's: their all-reduce can start that much sooner.
    for (let i = value.operands.length - 1; i >= 0; i -= 1) {
      const operand = value.operands[i]!;
      const partial = partials[i];
      if (!needed[operand] || !partial) continue;
      contributions.set(operand, [...(contributions.get(operand) ?? []), partial()]);
    }
  }

  const parameters = graph.values.filter((value) => value.op === 'parameter');
  const differentiated: TrainingGraph = {
    ...graph,
    values: builder.values,
    gradients: parameters.map(({ id, attributes }) => {
      const gradient = gradients.get(id);
      assert(gradient !== undefined, `the loss depends on ${attributes.name}`);
      return { parameter: id, gradient };
    }),
  };
  verifyGraph(differentiated, 'differentiation');
  return differentiated;
}

/** needed[id]: some parameter is among the value's ancestors, so its gradient leads somewhere. */
function reachedByParameters(graph: Graph): boolean[] {
  const needed: boolean[] = [];
  for (const { id, op, operands } of graph.values) {
    needed[id] = op === 'parameter' || operands.some((operand) => needed[operand]);
  }
  return needed;
}

function calculusFor(builder: GraphBuilder, value: Value): Calculus {
  return {
    op: (op, operands, attributes) => builder.add(op, operands, attributes, value.layer),
    shapeOf: (id) => builder.shapeOf(id),
  };
}

function sum(parts: readonly ValueId[], { op }: Calculus): ValueId {
  return parts.reduce((total, part) => op('add', [total, part], {}));
}

function partialsOf<K extends OpName>(
  value: Value<K>,
  dy: ValueId,
  calculus: Calculus,
): readonly OperandGradient[] {
  return gradientRules[value.op as K](value, dy, calculus);
}
