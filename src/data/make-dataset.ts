// From what a reader read to a data set for training: fitted, scaled to float32 in shared memory, hashed. No I/O; the hash is
// node:crypto's.

import { createHash } from 'node:crypto';
import type { Scale } from '../config/schema-data.ts';
import type { Dataset, Split, TrainingData } from './dataset.ts';
import { applyFitted, type Fitted, fitData } from './fitted.ts';
import type { RawDataset, RawSplit } from './raw.ts';
import { sharedFloats } from './shared-floats.ts';

/** Both splits scaled by what was fitted on the training split; targets as they are, in float32. */
export function makeDataset(raw: RawDataset, scale: Scale): TrainingData {
  const fitted = fitData(raw, scale);
  const { inputShape, targetSize, classes } = raw;
  const train = splitOf(fitted, raw.train);
  const dataset = { inputShape, targetSize, classes, train, test: splitOf(fitted, raw.test) };
  return {
    ...dataset,
    sha256: datasetSha256(dataset),
    trainSha256: splitSha256(train),
    fitted,
    directory: null,
  };
}

/** @throws what applyFitted throws */
export function splitOf(fitted: Fitted, raw: RawSplit): Split {
  const targets = sharedFloats(raw.targets.length);
  targets.set(raw.targets);
  return { samples: raw.samples, inputs: applyFitted(fitted, raw), targets };
}

/** SHA-256 over the shapes as JSON text, a zero byte, then inputs and targets of both splits, float32 little-endian. */
export function datasetSha256(dataset: Omit<Dataset, 'sha256' | 'classes'>): string {
  const { inputShape, targetSize, train, test } = dataset;
  return sha256Of([inputShape, targetSize, train.samples, test.samples], [train, test]);
}

/** SHA-256 over the number of samples as JSON text, a zero byte, then inputs and targets, float32 little-endian. */
export function splitSha256(split: Split): string {
  return sha256Of([split.samples], [split]);
}

function sha256Of(head: unknown, splits: readonly Split[]): string {
  const hash = createHash('sha256').update(`${JSON.stringify(head)}\0`);
  for (const { inputs, targets } of splits) {
    for (const { buffer, byteOffset, byteLength } of [inputs, targets])
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}
