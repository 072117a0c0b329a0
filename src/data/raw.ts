// What readers hand on: values exactly as they are in the files, before anything is fitted or scaled. Types, and an empty split.

import type { Shape } from '../ir/graph.ts';

/** Exact values, in the narrowest array that holds them. Text is parsed to float64. */
export type RawValues = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;

export type SplitName = 'train' | 'test';

/** One split as read. */
export interface RawSplit {
  /** What messages call it: its file, or 'the training data'. */
  readonly source: string;
  readonly samples: number;
  /** [samples, ...inputShape] */
  readonly inputs: RawValues;
  /** [samples, targetSize] */
  readonly targets: RawValues;
}

/** Columns that are read, by name and in order. */
export interface Columns {
  readonly features: readonly string[];
  readonly targets: readonly string[];
}

export interface RawDataset {
  readonly inputShape: Shape;
  readonly targetSize: number;
  /** 0 where targets are values. */
  readonly classes: number;
  /** Null where values have no names. */
  readonly columns: Columns | null;
  readonly train: RawSplit;
  readonly test: RawSplit;
  /** What `unit` scaling divides by: 255 for bytes, 1 for all other types. */
  readonly unit: number;
  /** One line each for what was read past, such as columns that are not used. */
  readonly notices: readonly string[];
}

export const emptySplit: RawSplit = {
  source: 'no data',
  samples: 0,
  inputs: new Float64Array(0),
  targets: new Float64Array(0),
};
