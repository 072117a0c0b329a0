// Cases of the update: the norm of the gradient, clipping, and the optimizers over flat vectors.

import { type Block, batteryCase, input, output, positive, update } from './battery-case.ts';
import { normBlockSize } from './kernel-list.ts';

const counts = [0, 1, 15, 16, 17, 33, 1000, 4099] as const;

/** Plain; L2 and clipped; decoupled decay. */
const variants: readonly {
  readonly name: string;
  readonly clip: boolean;
  decay: number;
  decoupled: number;
}[] = [
  { name: 'plain', clip: false, decay: 0, decoupled: 0 },
  { name: 'clipped, L2', clip: true, decay: 0.01, decoupled: 0 },
  { name: 'decoupled', clip: true, decay: 0, decoupled: 0.1 },
];

/** Name and arguments that all optimizers share, for every size and variant. */
const updates = counts.flatMap((count) =>
  variants.map(({ name, clip, decay, decoupled }) => ({
    name: `${count} ${name}`,
    args: { w: update(count), g: input(count), count, clip: clip ? clipBlock() : null, decay, decoupled },
  })),
);

/** [norm, factor] */
function clipBlock(): Block {
  return input(2, (_, i) => [7, 0.625][i]!);
}

export const updateCases = {
  blockNorms: [...counts, 2 * normBlockSize, 3 * normBlockSize + 77].map((count) => {
    const blocks = output(Math.ceil(count / normBlockSize));
    return batteryCase('blockNorms', String(count), 'uneven', { blocks, x: input(count), count });
  }),

  clipFactor: [0, 1, 2, 3, 7, 16, 100].flatMap((count) =>
    [0.05, 1e3, Infinity].map((maximum) => {
      const args = { clip: output(2), blocks: input(count, positive), count, maximum };
      return batteryCase('clipFactor', `${count} to ${maximum}`, 'uneven', args);
    }),
  ),

  sgd: updates.map(({ name, args }) => batteryCase('sgd', name, 'uneven', args)),

  momentum: updates.map(({ name, args }, i) => {
    const nesterov = i % 2;
    const own = { v: update(args.count), momentum: 0.9, nesterov };
    return batteryCase('momentum', `${name}${nesterov ? ' nesterov' : ''}`, 'uneven', { ...args, ...own });
  }),

  adam: updates.map(({ name, args }) => {
    const own = {
      m: update(args.count),
      v: update(args.count, positive),
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
    };
    return batteryCase('adam', name, 'uneven', { ...args, ...own });
  }),
} as const;
