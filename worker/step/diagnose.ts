// Why a step's loss is not finite: the whole step once more, all shards on one lane in an arena of its own, from the
// weights before it. So every worker of every cluster names the same shard and the same tensor.

import type { Dataset } from '../../src/data/dataset.ts';
import { type BadTensor, searchNotFinite } from '../../src/engine/diagnose.ts';
import { EngineMemory, type Floats } from '../../src/engine/memory.ts';
import { shardNotFinite } from '../../src/engine/reports.ts';
import type { StepSchedule } from '../../src/engine/schedule.ts';
import { LockstepError } from '../../src/errors.ts';
import type { Arena, Backend } from '../../src/kernels/backend.ts';
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
  /** Everything was computed here. */
  readonly alone: boolean;
  /** Lets the thread do something else for a moment: a whole step on one lane takes long. */
  readonly pause: () => Promise<void>;
}

/** The error to end the run with; null where the step is finite when it is computed here alone: it is not the model. */
export async function diagnose(options: DiagnoseOptions): Promise<LockstepError | null> {
  const { run, schedule, step, sums, alone } = options;
  const { shards } = run.config;
  const badLoss = shardNotFinite(sums, shards);
  const bad = await firstBad(options);
  if (bad === 'none' && !alone) return null;
  const ids = schedule.at(step).sampleIds;
  const found = typeof bad === 'string' ? null : bad;
  const sample = found?.sample ?? null;
  const shard = sample === null ? badLoss : shardOf(Array.from(ids).indexOf(sample), ids.length, shards);
  const what = badLoss === null ? "the gradient's norm" : 'the loss';
  const where = shard === null ? `step ${step}` : `step ${step}, shard ${shard}`;
  const tensor = found === null ? what : found.tensor + (sample === null ? '' : ` (sample ${sample})`);
  return new LockstepError(
    'LOCKSTEP_NOT_FINITE',
    `${what} is not finite in ${where}; the first tensor that went bad is ${tensor}. ` +
      'The weights are those before this step: try a smaller learning rate or clipNorm, or look at the data',
  );
}

/** 'unknown' where there is no memory for the whole step beside the worker's own. */
async function firstBad(options: DiagnoseOptions): Promise<BadTensor | 'none' | 'unknown'> {
  const { run, memory, dataset, schedule, backend, step, pause } = options;
  const { shards } = run.config;
  const compiled = compileFor(run, {
    shards,
    firstShard: 0,
    endShard: shards,
    boundaries: [0, shards],
    lanes: 1,
  });
  let arena: Arena;
  try {
    arena = backend.createArena(compiled.arenaSize);
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'LOCKSTEP_OUT_OF_MEMORY') return 'unknown';
    throw error;
  }
  const whole = new EngineMemory(compiled, arena);
  const from = stateVectors(memory, run.layout);
  for (const [i, { floats }] of stateVectors(whole, run.layout).entries()) floats.set(from[i]!.floats);
  whole.writeStepTable(0, schedule.at(step));
  const search = searchNotFinite(whole, backend, dataset, 0);
  let { done, value: bad } = search.next();
  while (done !== true) {
    await pause();
    ({ done, value: bad } = search.next());
  }
  if (bad) return bad;
  return normOverflows(whole.gradient, schedule.at(step).sampleIds.length)
    ? { tensor: "the gradient's norm", sample: null }
    : 'none';
}

/** The norm of the mean gradient is a float32. */
function normOverflows(gradient: Floats, samples: number): boolean {
  let squares = 0;
  for (const each of gradient) squares += each * each;
  return Math.sqrt(squares) / samples > float32Max;
}

const float32Max = 3.4028234663852886e38;

function shardOf(row: number, rows: number, shards: number): number {
  let shard = 0;
  while (shardStart(shard + 1, rows, shards) <= row) shard += 1;
  return shard;
}
