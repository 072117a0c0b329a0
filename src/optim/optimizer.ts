// What an optimizer is in a config, and what its update kernel needs: slots, scalars, decay by role.
// The arithmetic itself is in the kernels (sgd, momentum, adam); the learning rate over time in schedule.ts.

import { z } from 'zod';
import { float32 } from '../config/float32.ts';
import type { TensorDeclaration } from '../ir/graph.ts';
import { integerPower } from './power.ts';
import { learningRateSchema } from './schedule.ts';

const fraction = float32({ min: 0, below: 1 });
const notNegative = float32({ min: 0 });

/** Keys of every optimizer. */
const shared = (defaults: { learningRate: number; weightDecay?: number }) => ({
  learningRate: learningRateSchema
    .default(defaults.learningRate)
    .describe('A number, or a schedule: constant, exponential, step, cosine.'),
  weightDecay: notNegative
    .default(defaults.weightDecay ?? 0)
    .describe(
      'Decoupled decay (Loshchilov and Hutter 2019): w -= learningRate * weightDecay * w, before the step.',
    ),
  l2: notNegative
    .default(0)
    .describe('Penalty l2 / 2 * |w|^2: l2 * w is added to the gradient, after clipping.'),
  decayed: z
    .enum(['weights', 'all'])
    .default('weights')
    .describe('What weightDecay and l2 touch: weights alone, or biases, gammas and betas as well.'),
});

const adamKeys = {
  beta1: fraction.default(0.9).describe('Decay of the mean of gradients.'),
  beta2: fraction.default(0.999).describe('Decay of the mean of squared gradients.'),
  epsilon: float32({ above: 0 }).default(1e-8).describe('Added to the root of the second moment.'),
};

const momentumKeys = {
  momentum: fraction.default(0.9).describe('Share of the velocity kept from step to step.'),
};

export const optimizerSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('sgd'), ...shared({ learningRate: 0.01 }) }),
  z.strictObject({ type: z.literal('momentum'), ...momentumKeys, ...shared({ learningRate: 0.01 }) }),
  z.strictObject({ type: z.literal('nesterov'), ...momentumKeys, ...shared({ learningRate: 0.01 }) }),
  z.strictObject({ type: z.literal('adam'), ...adamKeys, ...shared({ learningRate: 0.001 }) }),
  z.strictObject({
    type: z.literal('adamW'),
    ...adamKeys,
    ...shared({ learningRate: 0.001, weightDecay: 0.01 }),
  }),
]);

/** An optimizer as a config says it, before defaults. */
export type OptimizerInput = z.input<typeof optimizerSchema>;
/** An optimizer with every default filled in. */
export type OptimizerDescription = z.output<typeof optimizerSchema>;
export type OptimizerType = OptimizerDescription['type'];
type OptimizerOf<K extends OptimizerType> = Extract<OptimizerDescription, { type: K }>;

/** The optimizer's own arguments of its update kernel, by name; w, g, count, clip and decay are the compiler's. */
type UpdateCall =
  | { readonly kernel: 'sgd'; readonly scalars: Record<never, never> }
  | { readonly kernel: 'momentum'; readonly scalars: { readonly momentum: number; readonly nesterov: 0 | 1 } }
  | {
      readonly kernel: 'adam';
      readonly scalars: { readonly beta1: number; readonly beta2: number; readonly epsilon: number };
    };

interface OptimizerRow<K extends OptimizerType> {
  /** Vectors the size of the parameters, zero at the start, named as the kernel's arguments. */
  readonly slots: readonly ('m' | 'v')[];
  readonly update: (optimizer: OptimizerOf<K>) => UpdateCall;
}

const adam = ({ beta1, beta2, epsilon }: OptimizerOf<'adam' | 'adamW'>): UpdateCall => ({
  kernel: 'adam',
  scalars: { beta1, beta2, epsilon },
});

export const optimizerTable: { readonly [K in OptimizerType]: OptimizerRow<K> } = {
  sgd: { slots: [], update: () => ({ kernel: 'sgd', scalars: {} }) },
  momentum: {
    slots: ['v'],
    update: ({ momentum }) => ({ kernel: 'momentum', scalars: { momentum, nesterov: 0 } }),
  },
  nesterov: {
    slots: ['v'],
    update: ({ momentum }) => ({ kernel: 'momentum', scalars: { momentum, nesterov: 1 } }),
  },
  adam: { slots: ['m', 'v'], update: adam },
  adamW: { slots: ['m', 'v'], update: adam },
};

export const optimizerTypes = Object.keys(optimizerTable) as OptimizerType[];

/** The update kernel of an optimizer and its scalars. */
export function updateCall<K extends OptimizerType>(optimizer: OptimizerOf<K>): UpdateCall {
  const row: OptimizerRow<K> = optimizerTable[optimizer.type as K];
  return row.update(optimizer);
}

/** The kernel's `decay` (l2) and `decoupled` (weight decay) for a tensor of this role. */
export function decayOf(
  optimizer: OptimizerDescription,
  role: TensorDeclaration['role'],
): { readonly decay: number; readonly decoupled: number } {
  const touched = optimizer.decayed === 'all' || role === 'weight';
  return touched ? { decay: optimizer.l2, decoupled: optimizer.weightDecay } : { decay: 0, decoupled: 0 };
}

/**
 * 1 - beta1^step and 1 - beta2^step (Kingma and Ba 2015), steps from 1, in float64; both 1 for optimizers without
 * moments. The betas are rounded to float32 first, because the kernels average with the rounded ones: at step 1 the
 * corrected moments are then exactly the gradient and its square.
 */
export function biasCorrections(optimizer: OptimizerDescription, step: number): readonly [number, number] {
  if (optimizer.type !== 'adam' && optimizer.type !== 'adamW') return [1, 1];
  return [
    1 - integerPower(Math.fround(optimizer.beta1), step),
    1 - integerPower(Math.fround(optimizer.beta2), step),
  ];
}
