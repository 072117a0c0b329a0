// Batch normalisation over samples and positions (Ioffe and Szegedy 2015).

import { z } from 'zod';
import { float32 } from '../../config/float32.ts';
import { defineLayer, layerKeys } from './layer.ts';

export const batchNormLayer = defineLayer({
  stem: 'batchNorm',
  schema: z.strictObject({
    type: z.literal('batchNorm'),
    sync: z
      .enum(['global', 'shard'])
      .default('global')
      .describe('Statistics of the whole batch, or of each shard (ghost batch norm).'),
    momentum: float32({ above: 0, max: 1 })
      .default(0.1)
      .describe('Share of the new in the running statistics.'),
    epsilon: float32({ above: 0 }).default(1e-5).describe('Added to the variance.'),
    ...layerKeys,
  }),
  build: ({ sync, momentum, epsilon }, inputs, { shapeOf, op, parameter, statistic }) => {
    const channels = [shapeOf(inputs[0]!).at(-1)!];
    return op(
      'batchNorm',
      [
        inputs[0]!,
        parameter('gamma', 'gamma', channels, { kind: 'ones' }),
        parameter('beta', 'beta', channels, { kind: 'zeros' }),
        statistic('runningMean', 'runningMean', channels, { kind: 'zeros' }),
        statistic('runningVariance', 'runningVariance', channels, { kind: 'ones' }),
      ],
      { sync, momentum, epsilon },
    );
  },
});
