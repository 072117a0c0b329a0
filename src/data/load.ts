// From the `data` part of a config to a Dataset in memory (I/O): one loader a kind.

import type { DataConfig, DataConfigOf } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { digitsClasses, digitsSide, drawDigits } from './digits.ts';
import { pairImagesWithLabels, parseIdx } from './idx.ts';
import { loadCsv } from './load-csv.ts';
import { emptySplit, makeDataset, type RawDataset, type RawSplit } from './make-dataset.ts';
import { readDataFile } from './read-file.ts';
import { syntheticDataset } from './synthetic.ts';

export interface LoadOptions {
  /** Where relative names of files start. */
  readonly directory: string;
  /** Outputs of the model: class labels at or above are refused, naming the file. Unchecked unless given. */
  readonly outputs?: number | undefined;
}

const loaders: {
  readonly [K in DataConfig['kind']]: (
    data: DataConfigOf<K>,
    options: LoadOptions,
  ) => RawDataset | Promise<RawDataset>;
} = {
  digits: drawnDigits,
  idx: loadIdx,
  csv: (data, { directory }) => loadCsv(data, directory),
  synthetic: syntheticDataset,
};

/**
 * The data set that `data` describes, scaled and hashed.
 * @throws LockstepError LOCKSTEP_DATA_NOT_FOUND, LOCKSTEP_DATA_INVALID naming the file and the remedy;
 *   LOCKSTEP_OUT_OF_MEMORY
 */
export async function loadDataset(data: DataConfig, options: LoadOptions): Promise<Dataset> {
  const load = loaders[data.kind] as (data: DataConfig, options: LoadOptions) => Promise<RawDataset>;
  try {
    return makeDataset(await load(data, options), data.scale);
  } catch (error) {
    // A typed array that the machine, or JavaScript, cannot hold.
    if (!(error instanceof RangeError)) throw error;
    const told = `no memory for the data set (${error.message}): use fewer samples, or a larger machine`;
    throw new LockstepError('LOCKSTEP_OUT_OF_MEMORY', told, { cause: error });
  }
}

function drawnDigits(data: DataConfigOf<'digits'>): RawDataset {
  const split = (samples: number, part: number): RawSplit => {
    const { images, labels } = drawDigits(samples, data.seed, part);
    return { samples, inputs: images, targets: labels };
  };
  return {
    inputShape: [digitsSide, digitsSide, 1],
    targetSize: 1,
    classes: digitsClasses,
    train: split(data.train, 0),
    test: split(data.test, 1),
    unit: 255,
  };
}

async function loadIdx(data: DataConfigOf<'idx'>, options: LoadOptions): Promise<RawDataset> {
  const train = await readPair(data.train, options);
  const test = data.test === undefined ? null : await readPair(data.test, options);
  if (test !== null && String(test.inputShape) !== String(train.inputShape)) {
    const [a, b] = [train.inputShape.join(' x '), test.inputShape.join(' x ')];
    throw invalid(test.imagesFile, `images are ${b}, but those of ${train.imagesFile} are ${a}`);
  }
  const classes = 1 + Math.max(train.largestLabel, test?.largestLabel ?? 0);
  const { inputShape, unit } = train;
  return { inputShape, targetSize: 1, classes, train: train.split, test: test?.split ?? emptySplit, unit };
}

async function readPair(files: { images: string; labels: string }, { directory, outputs }: LoadOptions) {
  const images = await readDataFile(directory, files.images);
  const labels = await readDataFile(directory, files.labels);
  const pair = pairImagesWithLabels(
    parseIdx(images.bytes, images.file),
    images.file,
    parseIdx(labels.bytes, labels.file),
    labels.file,
  );
  let largestLabel = 0;
  for (let i = 0; i < pair.samples; i += 1) {
    const label = pair.labels[i]!;
    if (outputs !== undefined && label >= outputs) {
      const told = `label ${label} of sample ${i}, but the model has ${outputs} outputs (classes 0 .. ${outputs - 1})`;
      throw invalid(labels.file, `${told}; correct the file, or the units of the model's last layer`);
    }
    largestLabel = Math.max(largestLabel, label);
  }
  const split: RawSplit = { samples: pair.samples, inputs: pair.pixels, targets: pair.labels };
  return { imagesFile: images.file, inputShape: pair.inputShape, unit: pair.unit, largestLabel, split };
}

function invalid(file: string, what: string): LockstepError {
  return new LockstepError('LOCKSTEP_DATA_INVALID', `${file}: ${what}`);
}
