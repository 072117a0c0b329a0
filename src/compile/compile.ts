// From a model and its gradients to a program and an arena plan. The passes in their order; each is a file beside this one.

import type { Assignment, CompiledModel } from '../engine/contract.ts';
import { assert } from '../errors.ts';
import type { TrainingGraph } from '../ir/graph.ts';
import { sizeOf } from '../ir/shapes.ts';
import type { Model } from '../nn/model.ts';
import type { OptimizerDescription } from '../optim/optimizer.ts';
import { planArena } from './arena.ts';
import { insertBarriers } from './barriers.ts';
import { describeWork, lowerProgram, type Work } from './graph-to-items.ts';
import type { Buffer, Item } from './instructions.ts';
import { aligned } from './layout.ts';
import type { Optimizations } from './optimizations.ts';
import { checkArenaSize, type Places } from './plan.ts';
import { type Encoded, encode } from './segments.ts';

export interface CompileOptions {
  readonly model: Model;
  readonly training: TrainingGraph;
  readonly optimizer: OptimizerDescription;
  /** Gradients are scaled down to this global norm where they exceed it. */
  readonly clipNorm?: number | undefined;
  /** Samples of a global batch. */
  readonly batch: number;
  /** Bytes of the gradient that are reduced at once; 4 MiB where not given. */
  readonly bucketBytes?: number | undefined;
  readonly assignment: Assignment;
  /** Step tables in the arena: how many steps may be prepared ahead; 16 where not given. */
  readonly tables?: number | undefined;
  /** Passes to leave out or keep; all run where not given. */
  readonly optimizations?: Partial<Optimizations> | undefined;
  /** Debugging: floats left free around each buffer, which then shares its memory with no other. 0 where not given. */
  readonly gapFloats?: number | undefined;
}

/** A compiled model with the lists its words were made from, for printing, diagnosis and tests. */
export interface Program {
  readonly compiled: CompiledModel;
  readonly step: readonly Item[];
  readonly update: readonly Item[];
  readonly evaluate: readonly Item[];
  readonly places: Places;
}

const tablesDefault = 16;

/** Throws LOCKSTEP_OUT_OF_MEMORY where the plan exceeds what an arena can address. */
export function compileModel(options: CompileOptions): CompiledModel {
  return compileProgram(options).compiled;
}

export function compileProgram(options: CompileOptions): Program {
  const work = describeWork(options);
  const { alone, assignment } = work;
  const { lanes } = assignment;
  const lowered = lowerProgram(work);
  const arena = planArena(work, lowered, options.tables ?? tablesDefault, options.gapFloats ?? 0);
  const { places } = arena;

  const step = insertBarriers(alone ? lowered.timeline : lowered.step, places, lanes, alone);
  const update = alone ? [] : insertBarriers(lowered.update, places, lanes, false);
  const evaluate = insertBarriers(lowered.evaluate, places, lanes, false);
  const words: number[] = [];
  const append = (items: readonly Item[]): Encoded => {
    const encoded = encode(items, places, arena.programOffset + words.length);
    for (const word of encoded.words) words.push(word);
    return encoded;
  };
  const encoded = { step: append(step), update: append(update), evaluate: append(evaluate) };
  assert(encoded.evaluate.segments.length === 1, 'an evaluation is one segment');
  const arenaSize = arena.programOffset + aligned(words.length);
  checkArenaSize(arenaSize);

  const region = (buffer: Buffer) => ({ offset: places.get(buffer)!, size: buffer.size });
  const compiled: CompiledModel = {
    assignment,
    rowsMax: work.rowsMax,
    arenaSize,
    activations: arena.activations,
    ...stateOf(work, places),
    exchanges: lowered.exchanges.map(({ region: { buffer }, recordSize }) => ({
      offset: places.get(buffer)!,
      recordSize,
    })),
    step: encoded.step.segments,
    update: encoded.update.segments,
    outline: encoded.step.outline,
    evaluate: encoded.evaluate.segments[0]!,
    inputs: region(work.state.inputs),
    targets: region(work.state.targets),
    output: region(lowered.output),
    inputSize: sizeOf(options.model.inputShape),
    targetSize: options.model.targetSize,
    outputSize: options.model.outputSize,
    reports: options.training.reports.map(({ name }) => name),
    programOffset: arena.programOffset,
    program: Int32Array.from(words),
    header: arena.header,
    tables: arena.tables,
  };
  return { compiled, step, update, evaluate, places };
}

type StateFields = 'parameters' | 'statistics' | 'state' | 'partials' | 'gradient' | 'buckets';

/** Where the trained tensors, their gradient and the optimizer's slots lie. */
function stateOf(
  { state, parameters, statistics, nodes, buckets }: Work,
  places: Places,
): Pick<CompiledModel, StateFields> {
  const region = (buffer: Buffer) => ({ offset: places.get(buffer)!, size: buffer.size });
  return {
    parameters: parameters.tensors,
    statistics: statistics.tensors,
    state: {
      parameters: region(state.parameters),
      statistics: region(state.statistics),
      slots: state.slots.map(region),
    },
    partials: { offset: places.get(state.partials)!, stride: parameters.size, nodes: nodes.own },
    gradient: { offset: places.get(state.gradient)!, size: parameters.size },
    buckets,
  };
}
