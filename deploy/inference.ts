// A checkpoint's model run forward over a split of a data set, in this process: metrics, and predictions batch by batch.

import type { Checkpoint } from '../src/checkpoint/state.ts';
import type { RunConfig } from '../src/config/schema.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { checkFit } from '../src/data/fit.ts';
import type { SplitName } from '../src/data/raw.ts';
import type { CompiledModel } from '../src/engine/contract.ts';
import type { Metrics } from '../src/engine/events.ts';
import { totalReports } from '../src/engine/reports.ts';
import { evaluationPlans } from '../src/engine/schedule.ts';
import { flatVector } from '../src/engine/state.ts';
import { LockstepError } from '../src/errors.ts';
import type { BackendName } from '../src/kernels/backend.ts';
import { selectBackend } from '../src/kernels/select.ts';
import { buildModel } from '../src/nn/build.ts';
import { compileFor, modelOfRun, type RunModel } from '../worker/engine.ts';
import { LanePool } from '../worker/lanes/lane-pool.ts';
import { LaneThreads } from '../worker/lanes/lane-threads.ts';

export interface PredictedBatch {
  /** Sample id of row 0. */
  readonly firstSample: number;
  readonly rows: number;
  readonly outputSize: number;
  /** [rows, outputSize]; valid during the call. */
  readonly outputs: Float32Array;
}

/** Samples as the model takes them. */
export type InferenceData = Omit<Dataset, 'sha256' | 'classes'>;

export interface InferenceOptions {
  readonly checkpoint: Checkpoint;
  /** The config that the checkpoint was trained with. */
  readonly config: RunConfig;
  readonly dataset: InferenceData;
  readonly split: SplitName;
  readonly backend: BackendName | undefined;
  /** At most one a shard is used. */
  readonly threads: number;
  readonly onBatch?: (batch: PredictedBatch) => void | Promise<void>;
}

export interface InferenceResult {
  readonly metrics: Metrics;
  readonly samples: number;
}

/**
 * Throws LOCKSTEP_CHECKPOINT_MISMATCH, LOCKSTEP_DATA_INVALID or LOCKSTEP_MODEL_INVALID where things do not fit, and
 * LOCKSTEP_NOT_FINITE where a prediction would be no number.
 */
export async function inferCheckpoint(options: InferenceOptions): Promise<InferenceResult> {
  const { config, dataset, split } = options;
  const run = modelToInfer(config, dataset);
  const { samples } = dataset[split];
  if (samples === 0) {
    throw new LockstepError('LOCKSTEP_DATA_INVALID', `the data has no ${split} samples; try --split train`);
  }
  const { shards } = config;
  const lanes = Math.min(options.threads, shards);
  const compiled = compileFor(run, {
    shards,
    firstShard: 0,
    endShard: shards,
    boundaries: [0, shards],
    lanes,
  });
  const { backend } = selectBackend(options.backend);
  const threads = new LaneThreads(backend, lanes);
  try {
    const pool = await LanePool.create({ compiled, threads, splits: dataset, purpose: 'inference' });
    loadWeights(pool, options.checkpoint, run);
    return { metrics: await runBatches(pool, options, compiled, samples), samples };
  } finally {
    await threads.close();
  }
}

/** The data may have fewer classes than the data it was trained on, or no targets at all. */
function modelToInfer(config: RunConfig, dataset: InferenceData): RunModel {
  const { loss, metrics } = config;
  const { outputSize, targetSize, inputShape } = buildModel(config.model, { loss, metrics });
  checkFit(dataset, { outputSize, targetSize, inputShape, loss });
  return modelOfRun(config, {
    inputShape,
    targetSize,
    classes: loss === 'softmaxCrossEntropy' ? outputSize : 0,
  });
}

function loadWeights({ memory }: LanePool, checkpoint: Checkpoint, { layout }: RunModel): void {
  for (const section of layout.sections) {
    if (section.kind === 'parameters') memory.parameters.set(flatVector(checkpoint.parameters, section));
    if (section.kind === 'statistics') memory.statistics.set(flatVector(checkpoint.statistics, section));
  }
}

async function runBatches(
  pool: LanePool,
  { config, onBatch, split }: InferenceOptions,
  compiled: CompiledModel,
  samples: number,
): Promise<Metrics> {
  const totals = new Float64Array(compiled.reports.length);
  let firstSample = 0;
  for (const plan of evaluationPlans(samples, config.batch)) {
    const rows = pool.memory.writeStepTable(0, plan);
    await pool.run(compiled.evaluate, 0, { gather: split });
    totalReports(pool.memory.readReports(0), config.shards).forEach((total, report) => {
      totals[report]! += total;
    });
    const { outputSize } = compiled;
    const outputs = Float32Array.from(pool.memory.output.subarray(0, rows * outputSize));
    checkFinite(outputs, outputSize, firstSample);
    await onBatch?.({ firstSample, rows, outputSize, outputs });
    firstSample += rows;
  }
  return Object.fromEntries(compiled.reports.map((name, report) => [name, totals[report]! / samples]));
}

/** The first class, or null in JSON, would look like a prediction. */
function checkFinite(outputs: Float32Array, outputSize: number, firstSample: number): void {
  const wrong = outputs.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return;
  const sample = firstSample + Math.floor(wrong / outputSize);
  throw new LockstepError(
    'LOCKSTEP_NOT_FINITE',
    `sample ${sample}: the model gives ${outputs[wrong]}, which is no prediction; ` +
      'look for values of this sample far beyond those that the model was trained on',
  );
}
