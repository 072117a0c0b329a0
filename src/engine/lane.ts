// One lane of a worker: takes its samples into the arena and runs stretches of the program. The same code runs in a pool's
// threads and in the calling thread; how events are told is the caller's.

import type { Split } from '../data/dataset.ts';
import type { LaneRunner } from '../kernels/backend.ts';
import {
  arenaHeaderFields,
  barrierAbortWord,
  resultsHeader,
  stepTableFields,
} from '../kernels/step-table.ts';
import type { LaneProgram, ProgramEvent, Segment } from './contract.ts';

export type SplitName = 'train' | 'test';
export type Splits = Readonly<Record<SplitName, Pick<Split, 'inputs' | 'targets'>>>;

export interface SegmentRun {
  readonly segment: Segment;
  /** First word of the step table. */
  readonly table: number;
  /** The data set to take the step's samples from; null where the segment is not the step's first. */
  readonly gather: SplitName | null;
}

const field = (name: (typeof stepTableFields)[number]): number => stepTableFields.indexOf(name);
const fields = {
  shards: field('shards'),
  firstShard: field('firstShard'),
  laneRows: field('laneRowsOffset'),
  sampleIds: field('sampleIdsOffset'),
  results: field('resultsOffset'),
};

/** Lets every lane out of the barriers for good: one has failed. The arena's contents are lost. Returns whether this was
    the first failure; what fails after it may be its consequence. */
export function abortLanes(ints: Int32Array): boolean {
  return (
    0 === Atomics.exchange(ints, ints[arenaHeaderFields.indexOf('barrierOffset')]! + barrierAbortWord, 1)
  );
}

export class Lane {
  readonly #compiled: LaneProgram;
  readonly #runner: LaneRunner;
  readonly #lane: number;
  readonly #splits: Splits;

  constructor(compiled: LaneProgram, runner: LaneRunner, lane: number, splits: Splits) {
    this.#compiled = compiled;
    this.#runner = runner;
    this.#lane = lane;
    this.#splits = splits;
  }

  /** Runs a segment; `onEvent` is called in order, while other lanes may already be further on. Returns whether every
      stretch ran: guarded ones do only where the own losses, and the gradient's norm, are finite. */
  run({ segment, table, gather }: SegmentRun, onEvent: (event: ProgramEvent) => void): boolean {
    if (gather) this.gather(gather, table);
    for (const { from, to, event, guarded } of segment.stretches) {
      if (guarded && !this.#isFinite(table)) return false;
      if (to > from) this.#runner.run(from, to, table);
      if (event) onEvent(event);
    }
    return true;
  }

  /** Runs whole steps of a worker without peers under the given step tables. Returns how many were applied: fewer than
      asked for where a loss is not finite. */
  runAlone(tables: readonly number[]): number {
    const segment = this.#compiled.step[0]!;
    for (const [done, table] of tables.entries()) {
      if (!this.run({ segment, table, gather: 'train' }, () => {})) return done;
    }
    return tables.length;
  }

  /** Copies the samples of this lane's rows into the arena. */
  gather(name: SplitName, table: number): void {
    const { floats, ints } = this.#runner.arena;
    const { inputs, targets, inputSize, targetSize } = this.#compiled;
    const split = this.#splits[name];
    const lanes = ints[table + fields.laneRows]! + this.#lane;
    const ids = ints[table + fields.sampleIds]!;
    const end = ints[lanes + 1]!;
    for (let row = ints[lanes]!; row < end; row += 1) {
      const id = ints[ids + row]!;
      floats.set(
        split.inputs.subarray(id * inputSize, (id + 1) * inputSize),
        inputs.offset + row * inputSize,
      );
      floats.set(
        split.targets.subarray(id * targetSize, (id + 1) * targetSize),
        targets.offset + row * targetSize,
      );
    }
  }

  #isFinite(table: number): boolean {
    const { floats, ints } = this.#runner.arena;
    const reports = this.#compiled.reports.length;
    const first = ints[table + fields.results]! + resultsHeader + ints[table + fields.firstShard]! * reports;
    const shards = ints[table + fields.shards]!;
    for (let shard = 0; shard < shards; shard += 1) {
      if (!Number.isFinite(floats[first + shard * reports]!)) return false;
    }
    // The norm; 0 where it is not computed, or not yet.
    return Number.isFinite(floats[ints[table + fields.results]!]!);
  }
}
