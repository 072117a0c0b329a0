// Why a step's loss is not finite: the whole step once more, all shards on one lane in an arena of its own, from the
// weights before it. So every worker of every cluster names the same shard and the same tensor.

import type { Dataset } from '../../src/data/dataset.ts';
import { firstNotFinite } from '../../src/engine/diagnose.ts';
import { EngineMemory } from '../../src/engine/memory.ts';
import { shardNotFinite } from '../../src/engine/reports.ts';
import type { StepSchedule } from '../../src/engine/schedule.ts';
import { LockstepError } from '../../src/errors.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { shardStart } from '../../src/numerics/tree.ts';
import { compileFor, type RunModel, stateVectors } from '../engine.ts';

export interface DiagnoseOptions {
  readonly run: RunModel;
  /** Holds the weights before the step. */
  readonly memory: EngineMemory;
  readonly dataset: Dataset;
  readonly schedule: StepSchedule;
  readonly backend: Backend;
  readonly step: number;
  /** [shards][reports] of the step. */
  readonly sums: Float32Array;
}

/** The error to end the run with. */
export function diagnose({
  run,
  memory,
  dataset,
  schedule,
  backend,
  step,
  sums,
}: DiagnoseOptions): LockstepError {
  const { shards } = run.config;
  const compiled = compileFor(run, {
    shards,
    firstShard: 0,
    endShard: shards,
    boundaries: [0, shards],
    lanes: 1,
  });
  const whole = new EngineMemory(compiled, backend.createArena(compiled.arenaSize));
  const from = stateVectors(memory, run.layout);
  for (const [i, { floats }] of stateVectors(whole, run.layout).entries()) floats.set(from[i]!.floats);
  const plan = schedule.at(step);
  whole.writeStepTable(0, plan);
  const bad = firstNotFinite(whole, backend, dataset, 0);
  const sample = bad?.sample ?? null;
  const shard =
    sample === null
      ? shardNotFinite(sums, shards)
      : shardOf(Array.from(plan.sampleIds).indexOf(sample), plan.sampleIds.length, shards);
  const tensor = bad === null ? 'the loss' : bad.tensor + (sample === null ? '' : ` (sample ${sample})`);
  return new LockstepError(
    'LOCKSTEP_NOT_FINITE',
    `the loss is not finite in step ${step}, shard ${shard}; the first tensor that went bad is ${tensor}. ` +
      'The weights are those before this step: try a smaller learning rate or clipNorm, or look at the data',
  );
}

function shardOf(row: number, rows: number, shards: number): number {
  let shard = 0;
  while (shardStart(shard + 1, rows, shards) <= row) shard += 1;
  return shard;
}
