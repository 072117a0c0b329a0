// From the `data` part of a config to data in memory (I/O): one loader a kind. loadDataset reads what a run trains on;
// loadSplit reads one split for a model that is trained already, and scales it by what that model was fitted on.

import { resolve } from 'node:path';
import type { DataConfig, DataConfigOf } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import type { Split, TrainingData } from './dataset.ts';
import { digitsClasses, digitsSide, drawDigits } from './digits.ts';
import { type Fitted, unitOf } from './fitted.ts';
import { loadCsv } from './load-csv.ts';
import { checkUnit, loadIdx } from './load-idx.ts';
import { makeDataset, splitOf } from './make-dataset.ts';
import type { Columns, RawDataset, RawSplit, SplitName } from './raw.ts';
import { withinMemory } from './shared-floats.ts';
import { syntheticDataset } from './synthetic.ts';

export interface LoadOptions {
  /** Where relative names of files start. */
  readonly directory: string;
  /** Outputs of the model: class labels at or above are refused, naming the file. Unchecked unless given. */
  readonly outputs?: number | undefined;
}

interface ReadOptions extends LoadOptions {
  /** What is read at least; a split that is not asked for may be empty. */
  readonly splits: readonly SplitName[];
  /** Null: as the config and the training file say. */
  readonly columns: Columns | null;
}

const loaders: {
  readonly [K in DataConfig['kind']]: (
    data: DataConfigOf<K>,
    options: ReadOptions,
  ) => RawDataset | Promise<RawDataset>;
} = {
  digits: drawnDigits,
  idx: loadIdx,
  csv: loadCsv,
  synthetic: syntheticDataset,
};

/** True where the data is in files, which have a place. */
export function hasFiles({ kind }: DataConfig): boolean {
  return kind === 'csv' || kind === 'idx';
}

/**
 * The data set that `data` describes, fitted, scaled and hashed.
 * @throws LockstepError LOCKSTEP_DATA_NOT_FOUND, LOCKSTEP_DATA_INVALID naming the file and the remedy;
 *   LOCKSTEP_OUT_OF_MEMORY
 */
export async function loadDataset(data: DataConfig, options: LoadOptions): Promise<TrainingData> {
  const directory = hasFiles(data) ? resolve(options.directory) : null;
  return withinMemory(async () => {
    const raw = await read(data, { ...options, splits: ['train', 'test'], columns: null });
    return { ...makeDataset(raw, data.scale), directory };
  });
}

export interface LoadedSplit {
  readonly split: Split;
  /** What a user should know of the files, a line each. */
  readonly notices: readonly string[];
}

/**
 * One split of `data`, by the columns and the scaling of `fitted`; the other split is not read.
 * @throws LockstepError as loadDataset; LOCKSTEP_DATA_INVALID also where the files do not fit what the model was trained on
 */
export async function loadSplit(
  data: DataConfig,
  split: SplitName,
  fitted: Fitted,
  options: LoadOptions,
): Promise<LoadedSplit> {
  if ((data[split] ?? 0) === 0)
    throw new LockstepError('LOCKSTEP_DATA_INVALID', `the data has no ${split} samples; try --split train`);
  return withinMemory(async () => {
    const raw = await read(data, { ...options, splits: [split], columns: fitted.columns });
    const { source } = raw[split];
    if (String(raw.inputShape) !== String(fitted.inputShape)) {
      const [found, expected] = [raw, fitted].map(({ inputShape }) => inputShape.join(' x '));
      throw new LockstepError(
        'LOCKSTEP_DATA_INVALID',
        `${source}: samples are ${found}, but the model takes ${expected}`,
      );
    }
    checkUnit(source, raw.unit, unitOf(fitted));
    const isNewClass = raw.classes > fitted.classes;
    const newClass = `${source}: has class ${raw.classes - 1}, but the run was trained on classes 0 .. ${fitted.classes - 1}`;
    return {
      split: splitOf(fitted, raw[split]),
      notices: [...raw.notices, ...(isNewClass ? [newClass] : [])],
    };
  });
}

function read<K extends DataConfig['kind']>(data: DataConfigOf<K>, options: ReadOptions) {
  const load = loaders[data.kind] as (data: DataConfig, options: ReadOptions) => Promise<RawDataset>;
  return load(data, options);
}

function drawnDigits(data: DataConfigOf<'digits'>): RawDataset {
  const split = (samples: number, part: number): RawSplit => {
    const { images, labels } = drawDigits(samples, data.seed, part);
    return { source: 'the digits', samples, inputs: images, targets: labels };
  };
  return {
    inputShape: [digitsSide, digitsSide, 1],
    targetSize: 1,
    classes: digitsClasses,
    columns: null,
    train: split(data.train, 0),
    test: split(data.test, 1),
    unit: 255,
    notices: [],
  };
}
