// Samples without targets, for predictions (I/O): a file of inputs, scaled as the training data of a config was.

import { basename, dirname } from 'node:path';
import type { DataConfig, DataConfigOf } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import { chooseColumns, splitOfRecords } from './csv.ts';
import type { Dataset } from './dataset.ts';
import { parseIdx } from './idx.ts';
import { readRecords } from './load-csv.ts';
import { emptySplit, makeDataset, type RawDataset } from './make-dataset.ts';
import { readDataFile } from './read-file.ts';

export interface InputsOptions {
  /** Where the files named in the config are; training data is read where scaling needs it. */
  readonly directory: string;
  /** The file of inputs: CSV where the config's data is CSV, else IDX. */
  readonly file: string;
}

/**
 * A data set whose held-out split has the samples of `file`, with targets of 0.
 * @throws LockstepError LOCKSTEP_DATA_NOT_FOUND, LOCKSTEP_DATA_INVALID naming the file
 */
export async function loadInputs(data: DataConfig, options: InputsOptions): Promise<Dataset> {
  const raw = data.kind === 'csv' ? await csvInputs(data, options) : await idxInputs(data, options);
  return makeDataset(raw, data.scale);
}

async function csvInputs(data: DataConfigOf<'csv'>, { directory, file }: InputsOptions): Promise<RawDataset> {
  const train = await readRecords(directory, data.train);
  const columns = chooseColumns(train.records, data, train.file);
  const given = await readRecords(dirname(file), basename(file));
  const { samples, inputs } = splitOfRecords(given.records, { ...columns, targets: [] }, 0, given.file);
  return {
    inputShape: [columns.features.length],
    targetSize: columns.targets.length,
    classes: data.classes ?? 0,
    train: splitOfRecords(train.records, columns, data.classes ?? 0, train.file),
    test: { samples, inputs, targets: new Float32Array(samples * columns.targets.length) },
    unit: 1,
  };
}

async function idxInputs(
  data: Exclude<DataConfig, { kind: 'csv' }>,
  { directory, file }: InputsOptions,
): Promise<RawDataset> {
  const images = await readImages(dirname(file), basename(file));
  // Only `standard` asks for numbers of the training data.
  const training =
    data.kind === 'idx' && data.scale === 'standard' ? await readImages(directory, data.train.images) : null;
  return {
    inputShape: images.inputShape,
    targetSize: 1,
    classes: 0,
    train:
      training === null
        ? emptySplit
        : { samples: training.samples, inputs: training.values, targets: new Float32Array(training.samples) },
    test: { samples: images.samples, inputs: images.values, targets: new Float32Array(images.samples) },
    unit: images.unit,
  };
}

async function readImages(directory: string, name: string) {
  const { file, bytes } = await readDataFile(directory, name);
  const { shape, values, unit } = parseIdx(bytes, file);
  const [samples = 0, ...rest] = shape;
  if (rest.length === 0 || samples === 0) {
    throw new LockstepError(
      'LOCKSTEP_DATA_INVALID',
      `${file}: holds ${shape.join(' x ')} values, not images`,
    );
  }
  return { samples, inputShape: rest.length === 2 ? [...rest, 1] : rest, values, unit };
}
