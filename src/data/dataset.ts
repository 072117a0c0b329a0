// A data set in memory: what readers make, what lanes gather rows from, what is sent to workers that lack it.

import type { Shape } from '../ir/graph.ts';

/** One split. Rows are samples; sample id = row number. Memory is shared, so that lanes read it without a copy. */
export interface Split {
  readonly samples: number;
  /** [samples, ...inputShape], float32, already scaled. */
  readonly inputs: Float32Array<SharedArrayBuffer>;
  /** [samples, targetSize]: a class index, or values. */
  readonly targets: Float32Array<SharedArrayBuffer>;
}

/** Bytes of a data set of so many samples in memory. */
export function datasetBytes(
  { inputShape, targetSize }: Pick<Dataset, 'inputShape' | 'targetSize'>,
  samples: number,
): number {
  const inputSize = inputShape.reduce((product, dimension) => product * dimension, 1);
  return samples * (inputSize + targetSize) * Float32Array.BYTES_PER_ELEMENT;
}

export interface Dataset {
  readonly inputShape: Shape;
  readonly targetSize: number;
  /** Number of classes where targets are class indices, else 0. */
  readonly classes: number;
  readonly train: Split;
  /** Held-out samples; may have 0. */
  readonly test: Split;
  /** SHA-256, hex, over shapes and the bytes of both splits. */
  readonly sha256: string;
}
