// The passes from graphs to ordered items: prune, fuse, lower, order, for the training step, the update and the evaluation.

import type { Assignment, Bucket } from '../engine/contract.ts';
import type { Graph, TrainingGraph } from '../ir/graph.ts';
import { sizeOf } from '../ir/shapes.ts';
import { verifyGraph } from '../ir/verify.ts';
import type { Model } from '../nn/model.ts';
import { type OptimizerDescription, optimizerTable } from '../optim/optimizer.ts';
import type { CompileOptions } from './compile.ts';
import { fuse } from './fuse.ts';
import type { Buffer, Item } from './instructions.ts';
import {
  bucketBytesDefault,
  bucketsOf,
  checkAssignment,
  flatLayout,
  isAlone,
  nodeCounts,
  rowsMaxOf,
} from './layout.ts';
import { lower } from './lower.ts';
import { lowerUpdate } from './lower-update.ts';
import type { ExchangeRegion, Lowering, StateBuffers } from './lowering.ts';
import { liveValues } from './operands.ts';
import { allOptimizations, type Optimizations } from './optimizations.ts';
import { emitBuckets, fillExchanges } from './order.ts';
import { verifyItems } from './verify.ts';

/** What there is to compile, with everything that follows from the options alone. */
export interface Work {
  readonly model: Model;
  readonly training: TrainingGraph;
  readonly optimizer: OptimizerDescription;
  readonly clipNorm: number | undefined;
  readonly assignment: Assignment;
  readonly alone: boolean;
  readonly nodes: { readonly own: number; readonly before: number; readonly all: number };
  readonly rowsMax: number;
  readonly parameters: ReturnType<typeof flatLayout>;
  readonly statistics: ReturnType<typeof flatLayout>;
  readonly buckets: readonly Bucket[];
  readonly state: StateBuffers;
  readonly optimizations: Optimizations;
}

export interface LoweredProgram {
  readonly step: readonly Item[];
  readonly update: readonly Item[];
  readonly evaluate: readonly Item[];
  /** Step, guard and update as one: the program of a worker alone, and the lifetimes of all. */
  readonly timeline: readonly Item[];
  readonly exchanges: readonly ExchangeRegion[];
  /** Holds the prediction after an evaluation. */
  readonly output: Buffer;
}

export function describeWork({
  model,
  training,
  optimizer,
  clipNorm,
  assignment,
  batch,
  bucketBytes,
  optimizations,
}: CompileOptions): Work {
  checkAssignment(assignment);
  verifyGraph(model.graph, 'building the model');
  verifyGraph(training, 'differentiation');
  const alone = isAlone(assignment);
  const nodes = nodeCounts(assignment);
  const rowsMax = rowsMaxOf(assignment, batch);
  const parameters = flatLayout(model.parameters);
  const statistics = flatLayout(model.statistics);
  const buckets = bucketsOf(parameters.tensors, parameters.size, bucketBytes ?? bucketBytesDefault);

  const flat = (name: string, count = 1): Buffer => permanent(name, parameters.size * count);
  const rows = (name: string, rowSize: number): Buffer => permanent(name, rowsMax * rowSize, rowSize);
  const partials = flat('partials', nodes.own);
  const state: StateBuffers = {
    parameters: flat('parameters'),
    statistics: permanent('statistics', statistics.size),
    slots: optimizerTable[optimizer.type].slots.map((name) => flat(name)),
    partials,
    gradient: alone ? partials : flat('gradient'),
    inputs: rows('inputs', sizeOf(model.inputShape)),
    targets: rows('targets', model.targetSize),
    output: rows('output', model.outputSize),
  };
  return {
    model,
    training,
    optimizer,
    clipNorm,
    assignment,
    alone,
    nodes,
    rowsMax,
    parameters,
    statistics,
    buckets,
    state,
    optimizations: { ...allOptimizations, ...optimizations },
  };
}

export function lowerProgram(work: Work): LoweredProgram {
  const { model, training, alone, parameters, buckets, state, nodes } = work;
  const lowered = lowerGraph(training, training.gradients, false, work);
  let step = lowered.items;
  if (!alone) {
    if (work.optimizations.fillExchanges) step = fillExchanges(step, state.partials);
    const repeat = { count: nodes.own, stride: parameters.size };
    step = emitBuckets(step, state.partials, parameters.tensors, buckets, repeat);
  }
  const update = [
    ...lowerUpdate({
      ...work,
      declarations: model.parameters,
      tensors: parameters.tensors,
      flatSize: parameters.size,
    }),
    ...lowered.update,
  ];
  const timeline: Item[] = [...step, { kind: 'guard' }, ...update];
  verifyItems(timeline, 'ordering');
  const evaluation = lowerGraph(model.graph, [], true, work);
  const output = evaluation.at(model.graph.output).buffer;
  return { step, update, evaluate: evaluation.items, timeline, exchanges: lowered.exchanges, output };
}

function lowerGraph(
  graph: Graph,
  gradients: TrainingGraph['gradients'],
  inference: boolean,
  work: Work,
): Lowering {
  const { assignment, rowsMax, parameters, statistics, state } = work;
  const ends = [...graph.reports.map(({ value }) => value), ...gradients.map(({ gradient }) => gradient)];
  if (inference) ends.push(graph.output);
  const live = liveValues(graph, ends);
  const fusion = fuse(graph, live, ends, inference, work.optimizations);
  const lowered = lower({
    graph, live, fusion, inference, assignment, rowsMax,
    parameters: parameters.tensors, statistics: statistics.tensors, flatSize: parameters.size, state, gradients,
  }); // biome-ignore format: a table
  verifyItems(lowered.items, 'lowering');
  return lowered;
}

function permanent(name: string, size: number, rowSize: number | null = null): Buffer {
  return { name, size, rowSize, permanent: true };
}
