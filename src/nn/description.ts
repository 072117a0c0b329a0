// The model part of a config as data: schemas and their types. JSON, the typed API and what travels to workers are all
// this one form. What a layer does is in layers/, a file a family.

import { z } from 'zod';
import { lossKinds } from '../ir/ops.ts';
import {
  eluLayer,
  geluLayer,
  leakyReluLayer,
  reluLayer,
  sigmoidLayer,
  softmaxLayer,
  tanhLayer,
} from './layers/activation.ts';
import { batchNormLayer } from './layers/batch-norm.ts';
import { conv2dLayer } from './layers/conv2d.ts';
import { denseLayer } from './layers/dense.ts';
import type { LayerRow } from './layers/layer.ts';
import { averagePoolLayer, globalAveragePoolLayer, maxPoolLayer } from './layers/pooling.ts';
import { addLayer, concatLayer, dropoutLayer, flattenLayer } from './layers/shape.ts';

export const layerSchema = z.discriminatedUnion('type', [
  denseLayer.schema,
  conv2dLayer.schema,
  maxPoolLayer.schema,
  averagePoolLayer.schema,
  globalAveragePoolLayer.schema,
  batchNormLayer.schema,
  dropoutLayer.schema,
  flattenLayer.schema,
  reluLayer.schema,
  leakyReluLayer.schema,
  eluLayer.schema,
  sigmoidLayer.schema,
  tanhLayer.schema,
  geluLayer.schema,
  softmaxLayer.schema,
  addLayer.schema,
  concatLayer.schema,
]);

export type LayerInput = z.input<typeof layerSchema>;
export type Layer = z.output<typeof layerSchema>;
export type LayerType = Layer['type'];
export type LayerOf<K extends LayerType> = Extract<Layer, { type: K }>;

/** Every layer type's row. A type in the schema without a row here does not compile. */
export const layerTable: { readonly [K in LayerType]: LayerRow<LayerOf<K>> } = {
  dense: denseLayer,
  conv2d: conv2dLayer,
  maxPool: maxPoolLayer,
  averagePool: averagePoolLayer,
  globalAveragePool: globalAveragePoolLayer,
  batchNorm: batchNormLayer,
  dropout: dropoutLayer,
  flatten: flattenLayer,
  relu: reluLayer,
  leakyRelu: leakyReluLayer,
  elu: eluLayer,
  sigmoid: sigmoidLayer,
  tanh: tanhLayer,
  gelu: geluLayer,
  softmax: softmaxLayer,
  add: addLayer,
  concat: concatLayer,
};

export const layerTypes = Object.keys(layerTable) as LayerType[];

export const modelSchema = z.strictObject({
  input: z
    .array(z.int().min(1))
    .min(1)
    .max(3)
    .refine(({ length }) => length === 1 || length === 3, 'must be [features] or [height, width, channels]')
    .describe('Shape of one sample: [features] or [height, width, channels].'),
  layers: z.array(layerSchema).min(1).describe('Each reads the one before it, unless it names another.'),
});

/** A model as a config or the typed API says it. */
export type ModelInput = z.input<typeof modelSchema>;
/** A model with every default filled in. */
export type ModelDescription = z.output<typeof modelSchema>;

export const lossSchema = z.enum(lossKinds);

export const metricNames = ['accuracy', 'meanAbsoluteError'] as const;
export type MetricName = (typeof metricNames)[number];
export const metricsSchema = z.array(z.enum(metricNames));
