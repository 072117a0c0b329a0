// A worker's engine for one membership: the model compiled for its part of the shards. No I/O; the arena is made by the
// lane pool.

import { differentiate } from '../src/autodiff/differentiate.ts';
import { type CompileOptions, compileModel } from '../src/compile/compile.ts';
import type { RunConfig } from '../src/config/schema.ts';
import type { Assignment, CompiledModel } from '../src/engine/contract.ts';
import type { EngineMemory } from '../src/engine/memory.ts';
import { type StateLayout, stateLayout } from '../src/engine/state.ts';
import type { Shape } from '../src/ir/graph.ts';
import { buildModel } from '../src/nn/build.ts';
import { initialValues } from '../src/nn/initialize.ts';
import type { Model } from '../src/nn/model.ts';

/** What the model is checked against. */
export interface DataFacts {
  readonly inputShape: Shape;
  readonly targetSize: number;
  readonly classes: number;
}

export interface RunModel {
  readonly config: RunConfig;
  readonly model: Model;
  readonly layout: StateLayout;
  compileOptions(assignment: Assignment): CompileOptions;
  /** By assignment, the newest last. */
  readonly compiled: Map<string, CompiledModel>;
}

/** Memberships that come again, as after a pause of the coordinator, find their program. */
const compiledKept = 4;

/** Throws LOCKSTEP_MODEL_INVALID. */
export function modelOfRun(config: RunConfig, data: DataFacts): RunModel {
  const { loss, metrics, optimizer } = config;
  const model = buildModel(config.model, {
    loss,
    metrics,
    targetSize: data.targetSize,
    classes: data.classes,
  });
  const training = differentiate(model.graph);
  return {
    config,
    model,
    layout: stateLayout(model, optimizer),
    compiled: new Map(),
    compileOptions: (assignment) => ({
      model,
      training,
      optimizer,
      clipNorm: config.clipNorm,
      batch: config.batch,
      bucketBytes: config.bucketBytes,
      assignment,
    }),
  };
}

export function compileFor(run: RunModel, assignment: Assignment): CompiledModel {
  const key = JSON.stringify(assignment);
  const compiled = run.compiled.get(key) ?? compileModel(run.compileOptions(assignment));
  run.compiled.delete(key);
  run.compiled.set(key, compiled);
  for (const oldest of run.compiled.keys()) {
    if (run.compiled.size <= compiledKept) break;
    run.compiled.delete(oldest);
  }
  return compiled;
}

/** The state of step 0, drawn from the seed: the same on every worker. */
export function setInitialState(memory: EngineMemory, { model, config }: RunModel): void {
  memory.setParameters(initialValues(model.parameters, config.seed));
  memory.setStatistics(initialValues(model.statistics, config.seed));
  for (const slot of memory.slots) slot.fill(0);
}

/** The flat vectors of the state, by section, in the order they travel. */
export function stateVectors(
  memory: EngineMemory,
  layout: StateLayout,
): { name: string; floats: Float32Array }[] {
  const slots = [...memory.slots];
  return layout.sections.map(({ name, kind }) => {
    const floats =
      kind === 'parameters' ? memory.parameters : kind === 'statistics' ? memory.statistics : slots.shift()!;
    return { name, floats: floats as Float32Array };
  });
}
