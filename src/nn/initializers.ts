// Initial distributions by name, as in a config, resolved to plain ones once fan-in and fan-out are known.

import { z } from 'zod';
import { float32 } from '../config/float32.ts';
import type { Initializer } from '../ir/graph.ts';

/** Connections into and out of one unit; for a convolution, times the window. */
export interface Fan {
  readonly fanIn: number;
  readonly fanOut: number;
}

const gaussian = (variance: number): Initializer => ({
  kind: 'gaussian',
  mean: 0,
  deviation: Math.sqrt(variance),
});
const uniform = (limit: number): Initializer => ({ kind: 'uniform', low: -limit, high: limit });

/** A uniform distribution in -limit .. limit has the variance limit^2 / 3. */
const byName = {
  zeros: () => ({ kind: 'zeros' }),
  uniform: () => uniform(0.05),
  gaussian: () => gaussian(0.05 * 0.05),
  /** variance 1 / fanIn, so that a unit's sum keeps the variance of its inputs */
  gaussianFanIn: ({ fanIn }) => gaussian(1 / fanIn),
  /** LeCun, Bottou, Orr and Müller 1998 */
  lecun: ({ fanIn }) => gaussian(1 / fanIn),
  lecunUniform: ({ fanIn }) => uniform(Math.sqrt(3 / fanIn)),
  /** Glorot and Bengio 2010 */
  glorot: ({ fanIn, fanOut }) => gaussian(2 / (fanIn + fanOut)),
  glorotUniform: ({ fanIn, fanOut }) => uniform(Math.sqrt(6 / (fanIn + fanOut))),
  /** He, Zhang, Ren and Sun 2015 */
  he: ({ fanIn }) => gaussian(2 / fanIn),
  heUniform: ({ fanIn }) => uniform(Math.sqrt(6 / fanIn)),
} as const satisfies Record<string, (fan: Fan) => Initializer>;

type InitializerName = keyof typeof byName;
export const initializerNames = Object.keys(byName) as [InitializerName, ...InitializerName[]];

export const initializerSchema = z.union([
  z.enum(initializerNames),
  z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('uniform'), low: float32(), high: float32() }),
    z.strictObject({
      type: z.literal('gaussian'),
      deviation: float32({ min: 0, derived: { 'the largest initial weight': (deviation) => 7 * deviation } }),
    }),
  ]),
]);

export type InitializerChoice = z.output<typeof initializerSchema>;

export function resolveInitializer(choice: InitializerChoice, fan: Fan): Initializer {
  if (typeof choice === 'string') return byName[choice](fan);
  if (choice.type === 'uniform') return { kind: 'uniform', low: choice.low, high: choice.high };
  return { kind: 'gaussian', mean: 0, deviation: choice.deviation };
}
