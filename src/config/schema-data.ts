// The `data` part of a config: where samples come from. One schema a kind; defaults filled here. Pure.

import { z } from 'zod';

/** Seeds are key words of the random generator. */
export const seedSchema = z.uint32();

const file = z.string().min(1);
const count = z.int().min(0);
const column = z.string().min(1);

/** How inputs are scaled: unit = bytes divided by 255, standard = by mean and deviation of the training split, each
    feature (or channel) for itself. */
const pixelScaleSchema = z.enum(['unit', 'standard', 'none']);
const valueScaleSchema = z.enum(['standard', 'none']);
export type Scale = z.output<typeof pixelScaleSchema>;

const digitsSchema = z.strictObject({
  kind: z.literal('digits').describe('handwritten-like digits, 28 x 28, drawn by the program itself'),
  train: count.min(1).default(12_000),
  test: count.default(2000),
  seed: seedSchema.default(1),
  scale: pixelScaleSchema.default('unit'),
});

const idxFilesSchema = z.strictObject({ images: file, labels: file });

const idxSchema = z.strictObject({
  kind: z
    .literal('idx')
    .describe(
      'IDX files as MNIST has them, gzip or not; absolute, or relative to --data or to the config file',
    ),
  train: idxFilesSchema,
  test: idxFilesSchema.exactOptional(),
  scale: pixelScaleSchema.default('unit'),
});

const csvSchema = z.strictObject({
  kind: z
    .literal('csv')
    .describe(
      'files of comma-separated values whose first line names the columns; absolute, or relative to --data or to the config file',
    ),
  train: file,
  test: file.exactOptional(),
  target: z.union([column, z.array(column).min(1)]).describe('the column(s) to predict'),
  features: z
    .array(column)
    .min(1)
    .exactOptional()
    .describe('input columns; all but the targets unless given'),
  classes: z.int().min(2).exactOptional().describe('when given, the target is a class index 0 .. classes-1'),
  scale: valueScaleSchema.default('standard'),
});

const syntheticSchema = z.strictObject({
  kind: z.literal('synthetic').describe('normal random inputs and random targets, for benchmarks'),
  train: count.min(1),
  test: count.default(0),
  shape: z.array(z.int().min(1)).min(1),
  classes: z.int().min(2).exactOptional().describe('number of classes; targets are class indices'),
  targets: z
    .int()
    .min(1)
    .exactOptional()
    .describe('number of normal random values a sample, in place of a class'),
  seed: seedSchema.default(1),
  scale: valueScaleSchema.default('none'),
});

export const dataSchema = z.discriminatedUnion('kind', [digitsSchema, idxSchema, csvSchema, syntheticSchema]);

export type DataConfig = z.output<typeof dataSchema>;
export type DataConfigOf<K extends DataConfig['kind']> = Extract<DataConfig, { kind: K }>;

/** Side of the drawn digits. */
const digitsShape = [28, 28, 1] as const;

/** Shape of one sample where the config alone tells it, else null. */
export function knownInputShape(data: DataConfig): readonly number[] | null {
  if (data.kind === 'digits') return digitsShape;
  return data.kind === 'synthetic' ? data.shape : null;
}

/** What a target is: a class index, or values. */
export function targetKind(data: DataConfig): 'class' | 'values' {
  if (data.kind === 'digits' || data.kind === 'idx') return 'class';
  return data.classes === undefined ? 'values' : 'class';
}
