// From what a reader read to a Dataset: scaled float32 in shared memory, hashed. No I/O; the hash is node:crypto's.

import { createHash } from 'node:crypto';
import type { Scale } from '../config/schema-data.ts';
import type { Shape } from '../ir/graph.ts';
import type { Dataset, Split } from './dataset.ts';
import { applyScaling, scalingOf } from './scale.ts';
import { sharedFloats } from './shared-floats.ts';

/** One split as read: values as they are in the file. */
export interface RawSplit {
  readonly samples: number;
  /** [samples, ...inputShape] */
  readonly inputs: ArrayLike<number>;
  /** [samples, targetSize] */
  readonly targets: ArrayLike<number>;
}

export interface RawDataset {
  readonly inputShape: Shape;
  readonly targetSize: number;
  /** 0 where targets are values. */
  readonly classes: number;
  readonly train: RawSplit;
  readonly test: RawSplit;
  /** What `unit` scaling divides by. */
  readonly unit: number;
}

export const emptySplit: RawSplit = { samples: 0, inputs: [], targets: [] };

/** Inputs scaled by the training split's numbers, targets as they are. */
export function makeDataset(raw: RawDataset, scale: Scale): Dataset {
  const scaling = scalingOf(scale, raw.unit, raw.train.inputs, raw.inputShape);
  const split = ({ samples, inputs, targets }: RawSplit): Split => {
    const scaled = sharedFloats(inputs.length);
    applyScaling(scaling, inputs, scaled);
    const copied = sharedFloats(targets.length);
    copied.set(targets);
    return { samples, inputs: scaled, targets: copied };
  };
  const { inputShape, targetSize, classes } = raw;
  const dataset = { inputShape, targetSize, classes, train: split(raw.train), test: split(raw.test) };
  return { ...dataset, sha256: datasetSha256(dataset) };
}

/** SHA-256 over the shapes as JSON text, a zero byte, then inputs and targets of both splits, float32 little-endian. */
export function datasetSha256(dataset: Omit<Dataset, 'sha256' | 'classes'>): string {
  const { inputShape, targetSize, train, test } = dataset;
  const hash = createHash('sha256');
  hash.update(`${JSON.stringify([inputShape, targetSize, train.samples, test.samples])}\0`);
  for (const { buffer, byteOffset, byteLength } of [train.inputs, train.targets, test.inputs, test.targets]) {
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}
