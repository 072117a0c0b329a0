// A data set in memory: what readers make, what lanes gather rows from, what is sent to workers that lack it.

import type { Shape } from '../ir/graph.ts';
import type { Fitted } from './fitted.ts';

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

/** A data set as it was loaded, with what workers that are sent its bytes do not need: how to treat other data alike. */
export interface TrainingData extends Dataset {
  /** Fitted on the training split; goes into every checkpoint. */
  readonly fitted: Fitted;
  /** SHA-256, hex, of the training split alone. */
  readonly trainSha256: string;
  /** Absolute path of the directory that files were read from; null where the program makes the data. */
  readonly directory: string | null;
}
