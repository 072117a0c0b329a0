// A world of workers in one process: each has its own arena, and what they would send each other is done by plain loops
// over arrays. The twin against which real workers and all-reduce are measured.

import { differentiate } from '../../../src/autodiff/differentiate.ts';
import { type CompileOptions, compileModel } from '../../../src/compile/compile.ts';
import type { Optimizations } from '../../../src/compile/optimizations.ts';
import type { CompiledModel } from '../../../src/engine/contract.ts';
import type { Splits } from '../../../src/engine/lane.ts';
import type { StepPlan } from '../../../src/engine/memory.ts';
import { shardNotFinite } from '../../../src/engine/reports.ts';
import { evaluationPlans } from '../../../src/engine/schedule.ts';
import type { Backend } from '../../../src/kernels/backend.ts';
import type { BuildOptions } from '../../../src/nn/build.ts';
import { buildModel } from '../../../src/nn/build.ts';
import { type ModelInput, modelSchema } from '../../../src/nn/description.ts';
import { initialValues } from '../../../src/nn/initialize.ts';
import { mergeSchedule, wholeNodes } from '../../../src/numerics/tree.ts';
import {
  type OptimizerDescription,
  type OptimizerInput,
  optimizerSchema,
} from '../../../src/optim/optimizer.ts';
import { LaneGroup, type LaneOrder } from '../../support/lane-group.ts';

export interface Job {
  readonly model: ModelInput;
  readonly options: BuildOptions;
  readonly optimizer: OptimizerInput;
  readonly clipNorm?: number;
  readonly batch: number;
  readonly shards: number;
  readonly seed: number;
  readonly bucketBytes?: number;
}

export function prepare(job: Job) {
  const model = buildModel(modelSchema.parse(job.model), job.options);
  const optimizer: OptimizerDescription = optimizerSchema.parse(job.optimizer);
  return { model, training: differentiate(model.graph), optimizer };
}

/** `workers` assignments of `shards`, as even as can be. */
export function evenBoundaries(workers: number, shards: number): number[] {
  return Array.from({ length: workers + 1 }, (_, rank) => Math.floor((rank * shards) / workers));
}

export interface WorldOptions {
  /** Lanes of each worker; 1 unless given. */
  readonly lanes?: readonly number[];
  readonly order?: LaneOrder;
  readonly optimizations?: Partial<Optimizations>;
  /** Compiles a worker's model and gives the backend that runs it: for tests that look into every instruction. */
  readonly make?: MakeWorker;
}

export type MakeWorker = (options: CompileOptions) => {
  readonly compiled: CompiledModel;
  readonly backend: Backend;
};

export interface StepResult {
  /** [shards][reports], from whoever has the shard. */
  readonly sums: Float32Array;
  readonly gradientNorm: number;
}

const hexOf = (floats: ArrayLike<number>): string =>
  Buffer.from(Float32Array.from(floats).buffer).toString('hex');

export class World {
  readonly workers: readonly LaneGroup[];
  readonly #boundaries: readonly number[];
  readonly #shards: number;
  readonly #batch: number;

  constructor(
    job: Job,
    boundaries: readonly number[],
    backend: Backend,
    splits: Splits,
    { lanes, order, optimizations, make }: WorldOptions = {},
  ) {
    const { model, training, optimizer } = prepare(job);
    const { shards, batch, clipNorm, bucketBytes } = job;
    this.#boundaries = boundaries;
    this.#shards = shards;
    this.#batch = batch;
    this.workers = boundaries.slice(1).map((endShard, rank) => {
      const ownLanes = lanes?.[rank] ?? 1;
      const assignment = { shards, firstShard: boundaries[rank]!, endShard, boundaries, lanes: ownLanes };
      const options = {
        model, training, optimizer, clipNorm, batch, bucketBytes, assignment, optimizations, tables: 1,
      }; // biome-ignore format: a table
      const own = make?.(options) ?? { compiled: compileModel(options), backend };
      const worker = new LaneGroup(own.compiled, own.backend, splits, order);
      worker.memory.setParameters(initialValues(model.parameters, job.seed));
      worker.memory.setStatistics(initialValues(model.statistics, job.seed));
      return worker;
    });
  }

  step(plan: StepPlan): StepResult {
    const { workers } = this;
    for (const { memory } of workers) memory.writeStepTable(0, plan);
    const program = workers[0]!.memory.compiled;
    for (const index of program.step.keys()) {
      const exchanges = new Set<number>();
      const emitted = new Set<number>();
      for (const worker of workers) {
        worker.run(worker.memory.compiled.step[index]!, 0, index === 0 ? 'train' : null, (event) => {
          if (event.kind === 'exchange') exchanges.add(event.exchange);
          else emitted.add(event.bucket);
        });
      }
      for (const exchange of exchanges) this.#swap(exchange);
      for (const bucket of emitted) this.#allReduce(bucket);
    }
    const sums = this.#sums();
    if (workers.length > 1 && shardNotFinite(sums, this.#shards) === null) {
      for (const worker of workers) {
        for (const segment of worker.memory.compiled.update) worker.run(segment, 0, null);
      }
    }
    return { sums, gradientNorm: workers[0]!.memory.gradientNorm(0) };
  }

  /** Predictions for the held-out samples, and the sums of their reports, as hexadecimal bytes. */
  evaluate(samples: number): string {
    return evaluationPlans(samples, this.#batch)
      .map((plan) => {
        const outputs = this.workers.map((worker) => {
          const rows = worker.memory.writeStepTable(0, plan);
          worker.run(worker.memory.compiled.evaluate, 0, 'test');
          return hexOf(worker.memory.output.subarray(0, rows * worker.memory.compiled.outputSize));
        });
        return `${outputs.join('')} ${hexOf(this.#sums())}`;
      })
      .join('\n');
  }

  /** The bytes of every worker's parameters, statistics and slots. */
  states(): Buffer[] {
    return this.workers.map(({ memory: { parameters, statistics, slots } }) =>
      Buffer.concat(
        [parameters, statistics, ...slots].map((flat) => Buffer.from(Float32Array.from(flat).buffer)),
      ),
    );
  }

  #swap(exchange: number): void {
    for (const from of this.workers) {
      const { before, own } = from.memory.nodes;
      const size = from.memory.compiled.exchanges[exchange]!.recordSize;
      const records = from.memory.exchanged(exchange).slice(before * size, (before + own) * size);
      for (const to of this.workers) to.memory.exchanged(exchange).set(records, before * size);
    }
  }

  #allReduce(bucket: number): void {
    const nodes = this.#boundaries
      .slice(1)
      .flatMap((end, rank) => wholeNodes(this.#boundaries[rank]!, end, this.#shards));
    const parts = this.workers.flatMap(({ memory }) =>
      Array.from({ length: memory.nodes.own }, (_, node) => memory.partial(bucket, node)),
    );
    const stack: Float32Array[] = [];
    mergeSchedule(nodes, this.#shards).forEach((merges, i) => {
      stack.push(Float32Array.from(parts[i]!));
      for (let merge = 0; merge < merges; merge += 1) {
        const [left, right] = stack.splice(-2);
        stack.push(left!.map((value, at) => value + right![at]!));
      }
    });
    const { from } = this.workers[0]!.memory.compiled.buckets[bucket]!;
    for (const { memory } of this.workers) memory.gradient.set(stack[0]!, from);
  }

  #sums(): Float32Array {
    const all = this.workers.map(({ memory }) => memory.readReports(0));
    return all[0]!.map((_, i) => all.reduce((sum, sums) => sum + sums[i]!, 0));
  }
}
