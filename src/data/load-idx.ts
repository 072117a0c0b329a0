// Reads IDX files (I/O): pairs of images and labels, and images alone.

import type { DataConfigOf } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import type { Shape } from '../ir/graph.ts';
import { type IdxArray, type LabelledImages, pairImagesWithLabels, parseIdx } from './idx.ts';
import { emptySplit, type RawDataset, type RawSplit, type SplitName } from './raw.ts';
import { readDataFile } from './read-file.ts';

export interface IdxOptions {
  readonly directory: string;
  /** Which pairs are read; the others are left empty. */
  readonly splits: readonly SplitName[];
  /** Outputs of the model: labels at or above are refused. Unchecked unless given. */
  readonly outputs?: number | undefined;
}

interface Pair extends LabelledImages {
  readonly imagesFile: string;
}

export async function loadIdx(data: DataConfigOf<'idx'>, options: IdxOptions): Promise<RawDataset> {
  const read = async (split: SplitName): Promise<Pair | null> => {
    const files = data[split];
    return files === undefined || !options.splits.includes(split) ? null : readPair(files, options);
  };
  const train = await read('train');
  const test = await read('test');
  if (train !== null && test !== null) checkAlike(test, train, data.scale === 'unit');
  const { inputShape, unit } = (train ?? test)!;
  const splitOf = (pair: Pair | null): RawSplit =>
    pair === null
      ? emptySplit
      : { source: pair.imagesFile, samples: pair.samples, inputs: pair.pixels, targets: pair.labels };
  return {
    inputShape,
    targetSize: 1,
    classes: 1 + Math.max(largest(train), largest(test)),
    columns: null,
    train: splitOf(train),
    test: splitOf(test),
    unit,
    notices: [],
  };
}

function checkAlike(test: Pair, train: Pair, isUnit: boolean): void {
  if (String(test.inputShape) !== String(train.inputShape)) {
    const [a, b] = [train, test].map(({ inputShape }) => inputShape.join(' x '));
    throw invalid(test.imagesFile, `images are ${b}, but those of ${train.imagesFile} are ${a}`);
  }
  if (isUnit) checkUnit(test.imagesFile, test.unit, train.unit);
}

/** `unit` scaling divides bytes by 255 and nothing else: it means one thing only where files are of one kind. */
export function checkUnit(file: string, unit: number, expected: number | null): void {
  if (expected === null || unit === expected) return;
  const [holds, trained] = [unit, expected].map((each) =>
    each === 255 ? 'bytes' : 'numbers that are not bytes',
  );
  throw invalid(
    file,
    `holds ${holds}, but the training images are ${trained}, and "scale": "unit" divides bytes alone, by 255; ` +
      'store both as the same type',
  );
}

function largest(pair: Pair | null): number {
  let label = 0;
  for (const each of pair?.labels ?? []) label = Math.max(label, each);
  return label;
}

async function readPair(
  files: { images: string; labels: string },
  { directory, outputs }: IdxOptions,
): Promise<Pair> {
  const images = await readDataFile(directory, files.images);
  const labels = await readDataFile(directory, files.labels);
  const pair = pairImagesWithLabels(
    parseIdx(images.bytes, images.file),
    images.file,
    parseIdx(labels.bytes, labels.file),
    labels.file,
  );
  const wrong = outputs === undefined ? -1 : pair.labels.findIndex((label) => label >= outputs);
  if (wrong >= 0) {
    const told = `label ${pair.labels[wrong]} of sample ${wrong}, but the model has ${outputs} outputs (classes 0 .. ${outputs! - 1})`;
    throw invalid(labels.file, `${told}; correct the file, or the units of the model's last layer`);
  }
  return { ...pair, imagesFile: images.file };
}

export interface Images extends IdxArray {
  readonly file: string;
  readonly samples: number;
}

/** Images without labels, of the shape that the model takes. */
export async function readImages(path: string, inputShape: Shape): Promise<Images> {
  const { file, bytes } = await readDataFile(null, path);
  const array = parseIdx(bytes, file);
  const [samples = 0, ...shape] = array.shape;
  if (shape.length === 0 || samples === 0)
    throw invalid(file, `holds ${array.shape.join(' x ')} values, not images`);
  // Files of grey images leave out the dimension of the channels.
  if (![shape, [...shape, 1]].some((each) => String(each) === String(inputShape))) {
    throw invalid(file, `images are ${shape.join(' x ')}, but the model takes ${inputShape.join(' x ')}`);
  }
  return { ...array, file, samples };
}

function invalid(file: string, what: string): LockstepError {
  return new LockstepError('LOCKSTEP_DATA_INVALID', `${file}: ${what}`);
}
