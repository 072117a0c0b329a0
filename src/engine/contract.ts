// What a compiled model offers to whoever steps it (worker/ and the single-process runner): where things lie in the
// arena and which stretches of words to run. The interface between compile/ (which makes it) and the step loop.

import type { Shape } from '../ir/graph.ts';

/** Where a worker stands among the others; everything a plan depends on besides the model. */
export interface Assignment {
  /** Shards of the run. */
  readonly shards: number;
  /** Own shards: firstShard .. endShard-1; may be empty. */
  readonly firstShard: number;
  readonly endShard: number;
  /** firstShard of every worker in rank order, plus `shards` at the end. [0, shards] when alone. */
  readonly boundaries: readonly number[];
  /** Lanes of this worker. */
  readonly lanes: number;
}

/** A trained tensor in the flat vector of parameters (each starts at a multiple of 16 floats; gaps stay 0). */
export interface TensorLayout {
  readonly name: string;
  readonly shape: Shape;
  readonly size: number;
  /** Floats from the start of the flat vector. */
  readonly offset: number;
}

/** A run of floats in the arena. */
export interface Region {
  readonly offset: number;
  readonly size: number;
}

export type ProgramEvent =
  /** Gradients of the flat range [from, to) are complete in the own nodes: their all-reduce may start. */
  | { readonly kind: 'emit'; readonly bucket: number }
  /** The own gathered nodes of `exchange` are complete: their swap with the other workers may start, while the lanes go on;
      it must have ended before the next segment (or the update) starts. A segment may have several. */
  | { readonly kind: 'exchange'; readonly exchange: number };

/** A stretch of the program: words to run, then what to tell the main thread. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly event: ProgramEvent | null;
  /** To be run only where the own shards' losses, and the gradient's norm, are finite: the update. */
  readonly guarded: boolean;
}

/** Stretches between two exchanges: one Piscina task a lane. */
export interface Segment {
  readonly stretches: readonly Stretch[];
}

/** All-to-all swap of gathered nodes: record j (of `recordSize` floats) lies at offset + j * recordSize. */
export interface Exchange {
  readonly offset: number;
  readonly recordSize: number;
}

/** A part of the flat gradient that is reduced at once; the same for every world. */
export interface Bucket {
  readonly from: number;
  readonly to: number;
}

/** A kernel call of the training step, with what it writes: for finding the first tensor that went bad. */
export interface Outline {
  readonly from: number;
  readonly to: number;
  readonly writes: readonly (Region & { readonly name: string; readonly rowSize: number | null })[];
}

export interface CompiledModel {
  readonly assignment: Assignment;
  /** Samples this arena has room for: the worker's share of the largest batch. */
  readonly rowsMax: number;
  readonly arenaSize: number;
  /** Floats of the tensors that live from one call to another, in a step and in an evaluation, which share their memory. */
  readonly activations: { readonly step: number; readonly evaluate: number };
  readonly parameters: readonly TensorLayout[];
  readonly statistics: readonly TensorLayout[];
  /** Flat vectors; `slots` are the optimizer's (momentum, or m and v), each the size of parameters. */
  readonly state: {
    readonly parameters: Region;
    readonly statistics: Region;
    readonly slots: readonly Region[];
  };
  /** Own nodes of the gradient: node j at partials.offset + j * stride. */
  readonly partials: { readonly offset: number; readonly stride: number; readonly nodes: number };
  /** The reduced gradient; the same memory as partials node 0 when alone. */
  readonly gradient: Region;
  readonly buckets: readonly Bucket[];
  readonly exchanges: readonly Exchange[];
  /** Training: forward and backward, then (after the all-reduce of every bucket) the update. Alone: everything is in
      `step` and `update` is empty. */
  readonly step: readonly Segment[];
  readonly update: readonly Segment[];
  /** Forward and backward of `step`, call by call. */
  readonly outline: readonly Outline[];
  /** Forward in inference mode with losses and metrics; no exchange, no emit. */
  readonly evaluate: Segment;
  readonly inputs: Region;
  readonly targets: Region;
  /** The prediction of evaluate: [rows, outputSize]. */
  readonly output: Region;
  readonly inputSize: number;
  readonly targetSize: number;
  readonly outputSize: number;
  /** Names of the numbers reported per sample; the first is 'loss'. */
  readonly reports: readonly string[];
  /** Words to write at programOffset before the first run, and the header words at 0. */
  readonly programOffset: number;
  readonly program: Int32Array;
  readonly header: Int32Array;
  /** Room for `tables` step tables; table t at tablesOffset + t * tableSize (int32), its arrays behind it. */
  readonly tables: { readonly offset: number; readonly size: number; readonly count: number };
}

/** What a lane needs of it, beside the words in the arena. */
export type LaneProgram = Pick<
  CompiledModel,
  'step' | 'update' | 'evaluate' | 'reports' | 'inputs' | 'targets' | 'inputSize' | 'targetSize'
>;
