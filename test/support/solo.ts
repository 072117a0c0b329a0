// One worker with one lane in this very thread: a model stepped directly on a backend, with everything open to tests.

import { differentiate } from '../../src/autodiff/differentiate.ts';
import { compileModel } from '../../src/compile/compile.ts';
import type { CompiledModel, Segment } from '../../src/engine/contract.ts';
import { tableLayout } from '../../src/engine/table-layout.ts';
import type { LossKind } from '../../src/ir/ops.ts';
import type { Arena, Backend, LaneRunner } from '../../src/kernels/backend.ts';
import { encodeStepTable, resultsHeader } from '../../src/kernels/step-table.ts';
import { buildModel, type Model } from '../../src/nn/build.ts';
import { type MetricName, type ModelInput, modelSchema } from '../../src/nn/description.ts';
import { leaves, mergeSchedule, shardStart, wholeNodes } from '../../src/numerics/tree.ts';
import {
  biasCorrections,
  type OptimizerDescription,
  type OptimizerInput,
  optimizerSchema,
} from '../../src/optim/optimizer.ts';
import { learningRateAt } from '../../src/optim/schedule.ts';

export interface SoloOptions {
  readonly backend: Backend;
  readonly model: ModelInput;
  readonly loss: LossKind;
  readonly metrics?: readonly MetricName[];
  readonly optimizer: OptimizerInput;
  readonly clipNorm?: number | undefined;
  readonly batch: number;
  readonly shards: number;
  readonly seed?: number;
}

export class Solo {
  readonly model: Model;
  readonly compiled: CompiledModel;
  readonly #arena: Arena;
  readonly #runner: LaneRunner;
  readonly #optimizer: OptimizerDescription;
  readonly #seed: number;
  #rows = 0;

  constructor(options: SoloOptions) {
    const { backend, batch, shards, clipNorm, loss, metrics = [] } = options;
    this.model = buildModel(modelSchema.parse(options.model), { loss, metrics });
    this.#optimizer = optimizerSchema.parse(options.optimizer);
    this.#seed = options.seed ?? 1;
    this.compiled = compileModel({
      model: this.model,
      training: differentiate(this.model.graph),
      optimizer: this.#optimizer,
      clipNorm,
      batch,
      assignment: { shards, firstShard: 0, endShard: shards, boundaries: [0, shards], lanes: 1 },
      tables: 1,
    });
    this.#arena = backend.createArena(this.compiled.arenaSize);
    this.#arena.ints.set(this.compiled.header, 0);
    this.#arena.ints.set(this.compiled.program, this.compiled.programOffset);
    this.#runner = backend.attach(this.#arena.handle, 0);
  }

  /** A trained tensor or a statistic, by name, as it lies in the arena. */
  tensor(name: string): Float32Array | Float64Array {
    return this.#find(name, 'parameters') ?? this.#find(name, 'statistics')!;
  }

  /** The sum over samples of the gradient of a parameter. */
  gradient(name: string): Float32Array | Float64Array {
    return this.#find(name, 'gradient')!;
  }

  /** The batch: inputs [rows, ...inputShape] and targets [rows, targetSize]. */
  load(inputs: readonly number[], targets: readonly number[]): void {
    const { floats } = this.#arena;
    floats.set(inputs, this.compiled.inputs.offset);
    floats.set(targets, this.compiled.targets.offset);
    this.#rows = targets.length / this.compiled.targetSize;
  }

  /** One training step, from 1; the reports' sums over samples by name, and the gradient's norm where it is clipped. */
  step(step: number): Record<string, number> {
    return this.#run(this.compiled.step, step);
  }

  /** The batch in inference mode. */
  evaluate(): { reports: Record<string, number>; output: number[] } {
    const reports = this.#run([this.compiled.evaluate], 1);
    const { offset } = this.compiled.output;
    const output = this.#arena.floats.subarray(offset, offset + this.#rows * this.compiled.outputSize);
    return { reports, output: [...output] };
  }

  #run(segments: readonly Segment[], step: number): Record<string, number> {
    const { tables, reports } = this.compiled;
    const results = this.#writeTable(step);
    for (const { stretches } of segments) {
      for (const { from, to } of stretches) this.#runner.run(from, to, tables.offset);
    }
    const { shards } = this.compiled.assignment;
    const sums = reports.map((name, report) => {
      const at = (shard: number): number =>
        this.#arena.floats[results + resultsHeader + shard * reports.length + report]!;
      return [name, Array.from({ length: shards }, (_, shard) => at(shard)).reduce((a, b) => a + b, 0)];
    });
    return { ...Object.fromEntries(sums), norm: this.#arena.floats[results]! };
  }

  /** Returns where the results will lie. */
  #writeTable(step: number): number {
    const { tables, rowsMax, reports, assignment } = this.compiled;
    const { shards } = assignment;
    const rows = this.#rows;
    const nodes = wholeNodes(0, shards, shards);
    const counts = {
      lanes: 1,
      ownShards: shards,
      shards,
      globalNodes: nodes.length,
      rowsMax,
      reports: reports.length,
    };
    const layout = tableLayout(counts);
    const { ints } = this.#arena;
    const put = (part: number, values: readonly number[]): number => {
      ints.set(values, tables.offset + part);
      return tables.offset + part;
    };
    const [biasCorrection1, biasCorrection2] = biasCorrections(this.#optimizer, step);
    const resultsOffset = tables.offset + layout.results;
    const words = encodeStepTable({
      rows,
      shards,
      firstShard: 0,
      nodes: nodes.length,
      nodeStart: 0,
      globalNodes: nodes.length,
      step,
      seed: this.#seed,
      inverseWeight: 1 / rows,
      learningRate: learningRateAt(this.#optimizer.learningRate, step),
      biasCorrection1,
      biasCorrection2,
      laneRowsOffset: put(layout.laneRows, [0, rows]),
      shardRowsOffset: put(
        layout.shardRows,
        Array.from({ length: shards + 1 }, (_, s) => shardStart(s, rows, shards)),
      ),
      mergesOffset: put(layout.merges, mergeSchedule(leaves(0, shards), shards)),
      globalMergesOffset: put(layout.globalMerges, mergeSchedule(nodes, shards)),
      sampleIdsOffset: put(
        layout.sampleIds,
        Array.from({ length: rows }, (_, row) => row),
      ),
      resultsOffset,
    });
    ints.set(words, tables.offset);
    return resultsOffset;
  }

  #find(
    name: string,
    kind: 'parameters' | 'statistics' | 'gradient',
  ): Float32Array | Float64Array | undefined {
    const { compiled } = this;
    const tensors = kind === 'statistics' ? compiled.statistics : compiled.parameters;
    const region = kind === 'gradient' ? compiled.gradient : compiled.state[kind];
    const tensor = tensors.find((other) => other.name === name);
    if (!tensor) return undefined;
    const from = region.offset + tensor.offset;
    return this.#arena.floats.subarray(from, from + tensor.size);
  }
}
