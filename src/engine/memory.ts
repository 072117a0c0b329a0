// A worker's arena seen through its plan: views of the state, step tables written, results read. Nothing here computes
// or allocates with the size of the model.

import { nodeCounts } from '../compile/layout.ts';
import { assert } from '../errors.ts';
import type { Arena } from '../kernels/backend.ts';
import { floatBits } from '../kernels/kernel-list.ts';
import { laneRowsOf, resultsHeader, type StepTableField, stepTableFields } from '../kernels/step-table.ts';
import { leaves, mergeSchedule, shardStart, wholeNodes } from '../numerics/tree.ts';
import type { CompiledModel, Region, TensorLayout } from './contract.ts';
import { type TableLayout, tableLayout } from './table-layout.ts';

/** Float64 in the reference backend's float64 form only. */
export type Floats = Float32Array | Float64Array;

/** What a step (or a batch of an evaluation) is to do; schedule.ts makes it. */
export interface StepPlan {
  /** From 1; 0 in an evaluation. */
  readonly step: number;
  readonly seed: number;
  /** Sample ids of the whole global batch, in order; its length is the batch's size. */
  readonly sampleIds: ArrayLike<number>;
  readonly learningRate: number;
  readonly biasCorrections: readonly [number, number];
}

export class EngineMemory {
  readonly compiled: CompiledModel;
  readonly arena: Arena;
  /** Flat vectors; views, not copies. */
  readonly parameters: Floats;
  readonly statistics: Floats;
  readonly slots: readonly Floats[];
  /** The reduced gradient: with peers the all-reduce writes it. */
  readonly gradient: Floats;
  /** The prediction of the last evaluation: [rows, outputSize]. */
  readonly output: Floats;
  /** Own nodes, nodes ahead of them, and nodes of all workers. */
  readonly nodes: { readonly own: number; readonly before: number; readonly all: number };
  readonly #layout: TableLayout;
  readonly #merges: readonly number[];
  readonly #globalMerges: readonly number[];

  /** Writes header and program into the arena. */
  constructor(compiled: CompiledModel, arena: Arena) {
    this.compiled = compiled;
    this.arena = arena;
    assert(arena.floats.length >= compiled.arenaSize, 'the arena has the size of the plan');
    arena.ints.set(compiled.header, 0);
    arena.ints.set(compiled.program, compiled.programOffset);
    this.parameters = this.#view(compiled.state.parameters);
    this.statistics = this.#view(compiled.state.statistics);
    this.slots = compiled.state.slots.map((slot) => this.#view(slot));
    this.gradient = this.#view(compiled.gradient);
    this.output = this.#view(compiled.output);
    const { shards, firstShard, endShard, boundaries } = compiled.assignment;
    const ofWorkers = boundaries.slice(1).map((end, rank) => wholeNodes(boundaries[rank]!, end, shards));
    const gathered = ofWorkers.flat();
    this.nodes = nodeCounts(compiled.assignment);
    this.#merges = mergeSchedule(leaves(firstShard, endShard), shards);
    this.#globalMerges = mergeSchedule(gathered, shards);
    this.#layout = layoutOf(compiled, gathered.length);
  }

  /** The first word of step table `slot`. */
  tableAt(slot: number): number {
    const { offset, size, count } = this.compiled.tables;
    assert(slot >= 0 && slot < count, `step table ${slot} of ${count}`);
    return offset + slot * size;
  }

  /** Writes step table `slot`; its results start at zero. Returns the own rows. */
  writeStepTable(slot: number, plan: StepPlan): number {
    const { shards, firstShard, endShard, lanes } = this.compiled.assignment;
    const { ints, floats } = this.arena;
    const table = this.tableAt(slot);
    const layout = this.#layout;
    const samples = plan.sampleIds.length;
    const firstRow = shardStart(firstShard, samples, shards);
    const rows = shardStart(endShard, samples, shards) - firstRow;
    assert(rows <= this.compiled.rowsMax, `${rows} rows fit into ${this.compiled.rowsMax}`);
    const fields: Record<StepTableField, number> = {
      rows,
      shards: endShard - firstShard,
      firstShard,
      nodes: this.nodes.own,
      nodeStart: this.nodes.before,
      globalNodes: this.nodes.all,
      step: plan.step,
      seed: plan.seed,
      inverseWeight: floatBits(samples === 0 ? 0 : 1 / samples),
      learningRate: floatBits(plan.learningRate),
      biasCorrection1: floatBits(plan.biasCorrections[0]),
      biasCorrection2: floatBits(plan.biasCorrections[1]),
      laneRowsOffset: table + layout.laneRows,
      shardRowsOffset: table + layout.shardRows,
      mergesOffset: table + layout.merges,
      globalMergesOffset: table + layout.globalMerges,
      sampleIdsOffset: table + layout.sampleIds,
      resultsOffset: table + layout.results,
    };
    stepTableFields.forEach((field, word) => {
      ints[table + word] = fields[field];
    });
    const shardRows = table + layout.shardRows;
    for (let shard = firstShard; shard <= endShard; shard += 1) {
      ints[shardRows + shard - firstShard] = shardStart(shard, samples, shards) - firstRow;
    }
    ints.set(laneRowsOf(rows, lanes), table + layout.laneRows);
    ints.set(this.#merges, table + layout.merges);
    ints.set(this.#globalMerges, table + layout.globalMerges);
    for (let row = 0; row < rows; row += 1) {
      ints[table + layout.sampleIds + row] = plan.sampleIds[firstRow + row]!;
    }
    const results = table + layout.results;
    floats.fill(0, results, results + resultsHeader + shards * this.compiled.reports.length);
    return rows;
  }

  /** Sums over the rows of each shard: [shards of the run][reports]; zero where the shard is another worker's. */
  readReports(slot: number): Float32Array {
    const from = this.tableAt(slot) + this.#layout.results + resultsHeader;
    const size = this.compiled.assignment.shards * this.compiled.reports.length;
    return Float32Array.from(this.arena.floats.subarray(from, from + size));
  }

  /** Global norm of the step's mean gradient, before clipping. */
  gradientNorm(slot: number): number {
    return this.arena.floats[this.tableAt(slot) + this.#layout.results]!;
  }

  /** Node j of the own nodes of a bucket, before the all-reduce. */
  partial(bucket: number, node: number): Floats {
    const { partials, buckets } = this.compiled;
    const { from, to } = buckets[bucket]!;
    const start = partials.offset + node * partials.stride;
    return this.arena.floats.subarray(start + from, start + to);
  }

  /** The gathered nodes of all workers of an exchange; the own ones start at record nodes.before. */
  exchanged(exchange: number): Floats {
    const { offset, recordSize } = this.compiled.exchanges[exchange]!;
    return this.arena.floats.subarray(offset, offset + this.nodes.all * recordSize);
  }

  /** Sets trained tensors, unpadded, in the model's order. */
  setParameters(values: readonly ArrayLike<number>[]): void {
    scatter(values, this.compiled.parameters, this.parameters);
  }

  setStatistics(values: readonly ArrayLike<number>[]): void {
    scatter(values, this.compiled.statistics, this.statistics);
  }

  #view({ offset, size }: Region): Floats {
    return this.arena.floats.subarray(offset, offset + size);
  }
}

function scatter(values: readonly ArrayLike<number>[], tensors: readonly TensorLayout[], flat: Floats): void {
  assert(values.length === tensors.length, 'there is a value for every tensor');
  tensors.forEach(({ name, size, offset }, i) => {
    assert(values[i]!.length === size, `${name} has ${size} elements`);
    flat.set(values[i]!, offset);
  });
}

function layoutOf({ assignment, rowsMax, reports }: CompiledModel, globalNodes: number): TableLayout {
  const { lanes, shards, firstShard, endShard } = assignment;
  return tableLayout({
    lanes,
    shards,
    ownShards: endShard - firstShard,
    globalNodes,
    rowsMax,
    reports: reports.length,
  });
}
