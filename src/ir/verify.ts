// Checks that a graph is legal: run after every pass that makes or changes one. A failure is a bug of the pass.

import { assert, LockstepError } from '../errors.ts';
import type { Graph, TrainingGraph, Value } from './graph.ts';
import { inferType, isSource, sameShape, showShape } from './shapes.ts';

/** Throws LOCKSTEP_INTERNAL naming `pass` and the first value that is not legal. */
export function verifyGraph(graph: Graph | TrainingGraph, pass: string): void {
  const names = new Set<string>();
  graph.values.forEach((value, index) => {
    inContext(pass, value, () => {
      assert(value.id === index, `its id is its place, ${index}`);
      for (const operand of value.operands)
        assert(operand >= 0 && operand < index, `%${operand} comes before it`);
      assert(
        value.shape.every((dimension) => Number.isInteger(dimension) && dimension > 0),
        'dimensions are above 0',
      );
      checkType(graph, value);
      if (isSource(value.op)) checkSource(value, names);
    });
  });
  checkEnds(graph, pass);
  checkUses(graph, pass);
}

function inContext(pass: string, value: Value, check: () => void): void {
  try {
    check();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LockstepError(
      'LOCKSTEP_INTERNAL',
      `after ${pass}: %${value.id} ${value.op} (${value.layer}): ${reason}`,
      {
        cause,
      },
    );
  }
}

function checkType(graph: Graph, value: Value): void {
  if (isSource(value.op)) {
    assert(value.operands.length === 0, 'a source has no operands');
    return;
  }
  const operands = value.operands.map((id) => graph.values[id]!);
  const type = inferType(value.op, operands, value.attributes);
  assert(type.extent === value.extent, `its extent is ${type.extent}`);
  assert(
    sameShape(type.shape, value.shape),
    `its shape is ${showShape(type.shape)}, not ${showShape(value.shape)}`,
  );
}

function checkSource(value: Value, names: Set<string>): void {
  const rows = value.op === 'input' || value.op === 'target';
  assert(
    value.extent === (rows ? 'row' : 'whole'),
    rows ? 'data are rows' : 'tensors of the model are whole',
  );
  if (value.op === 'parameter' || value.op === 'statistic') {
    assert(!names.has(value.attributes.name), `the name ${value.attributes.name} is its own`);
    names.add(value.attributes.name);
  }
}

function checkEnds(graph: Graph | TrainingGraph, pass: string): void {
  const value = (id: number): Value => {
    const found = graph.values[id];
    assert(found !== undefined, `after ${pass}: %${id} exists`);
    return found;
  };
  assert(value(graph.output).extent === 'row', `after ${pass}: the output is a row value`);
  assert(graph.reports[0]?.name === 'loss', `after ${pass}: the first report is the loss`);
  for (const report of graph.reports) {
    const { extent, shape } = value(report.value);
    assert(
      extent === 'row' && shape.length === 0,
      `after ${pass}: report ${report.name} is one number a row`,
    );
  }
  if (!('gradients' in graph)) return;
  const parameters = graph.values
    .filter((candidate) => candidate.op === 'parameter')
    .map((candidate) => candidate.id);
  const covered = graph.gradients.map((pair) => pair.parameter);
  assert(sameShape(parameters, covered), `after ${pass}: one gradient a parameter, in order`);
  for (const { parameter, gradient } of graph.gradients) {
    const fits =
      value(gradient).extent === 'whole' && sameShape(value(gradient).shape, value(parameter).shape);
    assert(fits, `after ${pass}: gradient %${gradient} has the shape of parameter %${parameter}`);
  }
}

/** Nothing is computed in vain: every value but the sources is used, reported, the output or a gradient. */
function checkUses(graph: Graph | TrainingGraph, pass: string): void {
  const used = new Set<number>([graph.output, ...graph.reports.map((report) => report.value)]);
  if ('gradients' in graph) for (const { gradient } of graph.gradients) used.add(gradient);
  for (const { operands } of graph.values) for (const operand of operands) used.add(operand);
  for (const { id, op, layer } of graph.values) {
    assert(
      used.has(id) || op === 'input' || op === 'target',
      `after ${pass}: %${id} ${op} (${layer}) is used`,
    );
  }
}
