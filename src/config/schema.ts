// The one schema of a config: composed of the parts' schemas, with the checks that need two parts. Pure.
// What a parsed config looks like is RunConfig, which is itself a valid config: parsing it again changes nothing.

import { z } from 'zod';
import { lossSchema, type MetricName, metricNames, metricsSchema, modelSchema } from '../nn/description.ts';
import { optimizerSchema } from '../optim/optimizer.ts';
import { float32 } from './float32.ts';
import { dataSchema, knownInputShape, seedSchema, targetKind } from './schema-data.ts';

const period = z.int().min(1);

/** Largest number of shards: results carry a number a shard and the tree has a node a shard. */
export const shardsMax = 4096;
/** A bucket has room for one block of the gradient norm at least, and fits a frame at most. */
const bucketBytesMin = 4096;
const bucketBytesMax = 256 * 1024 * 1024;

const everySchema = {
  everyEpochs: period.exactOptional(),
  everySteps: period.exactOptional(),
};

const fieldsSchema = z.strictObject({
  $schema: z.string().exactOptional().describe('for editors; ignored'),
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'letters, digits, ".", "_" and "-" only')
    .exactOptional()
    .describe('names the directory of the run; the name of the file unless given'),
  data: dataSchema,
  model: modelSchema,
  loss: lossSchema,
  metrics: metricsSchema
    .exactOptional()
    .describe('accuracy, or meanAbsoluteError for meanSquaredError, unless given'),
  optimizer: optimizerSchema,
  clipNorm: float32({ above: 0 }).exactOptional().describe('largest global norm of a gradient'),
  batch: z.int().min(1).default(64).describe('samples of one step, all workers together'),
  epochs: z.int().min(1).exactOptional(),
  steps: z.int().min(1).exactOptional(),
  shards: z
    .int()
    .min(1)
    .max(shardsMax)
    .default(8)
    .describe('slices of a batch; at least as many as the lanes you will ever use'),
  seed: seedSchema.default(1),
  checkpoint: z
    .strictObject({
      ...everySchema,
      keep: z.int().min(1).default(3).describe('the last so many checkpoints stay'),
      best: z
        .enum(['loss', ...metricNames])
        .exactOptional()
        .describe('beside the last ones, the best by this metric of the held-out samples stays'),
    })
    .prefault({})
    .describe('how often a checkpoint is written; after every epoch unless said'),
  evaluate: z.strictObject(everySchema).prefault({}).describe('how often held-out samples are tried'),
  bucketBytes: z
    .int()
    .min(bucketBytesMin)
    .max(bucketBytesMax)
    .default(4 * 1024 * 1024),
});

/** What is measured beside the loss unless the config says it. */
export function metricDefault(loss: z.output<typeof lossSchema>): MetricName {
  return loss === 'meanSquaredError' ? 'meanAbsoluteError' : 'accuracy';
}

type Fields = z.output<typeof fieldsSchema>;

interface CrossCheck {
  readonly path: readonly (string | number)[];
  /** What is wrong, or null. */
  readonly find: (config: Fields) => string | null;
}

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

function bothPeriods(part: Fields['evaluate']): string | null {
  return part.everyEpochs !== undefined && part.everySteps !== undefined
    ? 'give everyEpochs or everySteps, not both'
    : null;
}

const crossChecks: readonly CrossCheck[] = [
  {
    path: ['steps'],
    find: ({ epochs, steps }) =>
      epochs !== undefined && steps !== undefined ? 'give epochs or steps, not both' : null,
  },
  { path: ['checkpoint'], find: (config) => bothPeriods(config.checkpoint) },
  { path: ['evaluate'], find: (config) => bothPeriods(config.evaluate) },
  {
    path: ['checkpoint', 'best'],
    find: ({ checkpoint: { best }, loss, metrics = [metricDefault(loss)] }) => {
      if (best === undefined || best === 'loss' || metrics.includes(best)) return null;
      return `${best} is not measured in this run; add it to metrics, or choose ${['loss', ...metrics].join(' or ')}`;
    },
  },
  {
    path: ['model', 'input'],
    find: ({ data, model }) => {
      const shape = knownInputShape(data);
      if (shape === null || shapeText(shape) === shapeText(model.input)) return null;
      return `is ${shapeText(model.input)}, but a sample of the data has the shape ${shapeText(shape)}`;
    },
  },
  {
    path: ['data'],
    find: ({ data }) =>
      data.kind === 'synthetic' && (data.classes === undefined) === (data.targets === undefined)
        ? 'synthetic data needs classes or targets, one of the two'
        : null,
  },
  {
    path: ['data', 'classes'],
    find: ({ data }) => {
      const several = data.kind === 'csv' && Array.isArray(data.target) && data.target.length > 1;
      return several && data.classes !== undefined
        ? 'a class index is one column, but target names several'
        : null;
    },
  },
  {
    path: ['loss'],
    find: ({ data, loss }) => {
      const kind = targetKind(data);
      if (loss === 'softmaxCrossEntropy' && kind === 'values') {
        return 'softmaxCrossEntropy needs a class index as target, but the data has values; give data.classes or another loss';
      }
      if (loss !== 'softmaxCrossEntropy' && kind === 'class') {
        return `${loss} needs values as targets, but the data has class indices; use softmaxCrossEntropy`;
      }
      return null;
    },
  },
];

export const configSchema = fieldsSchema.superRefine((config, context) => {
  for (const { path, find } of crossChecks) {
    const message = find(config);
    if (message !== null) context.addIssue({ code: 'custom', path: [...path], message });
  }
});

/** A config as users write it. */
export type ConfigInput = z.input<typeof configSchema>;

/** A checked config with every default filled. Exactly one of epochs and steps is there. */
export type RunConfig = Readonly<Omit<Fields, '$schema' | 'name' | 'metrics'>> & {
  readonly name: string;
  readonly metrics: readonly MetricName[];
};

/** The schema as JSON Schema (draft 2020-12), for editors. */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { io: 'input', reused: 'ref' });
  return { $schema, title: 'Lockstep config', ...schema };
}
