// Cases of the update: the norm of the gradient, clipping, and the optimizers over flat vectors.

import { type Block, batteryCase, input, output, positive, update } from './battery-case.ts';
import type { Draw } from './battery-draw.ts';
import { family } from './battery-family.ts';
import { normBlockSize } from './kernel-list.ts';

const kept = [0, 1, 17, 1000] as const;
const drawCount = (draw: Draw, elementsMax: number): number => draw.size(Math.ceil(elementsMax / 4));

/** Plain; L2 and clipped; decoupled decay. */
const ways = [
  { name: 'plain', clip: false, decay: 0, decoupled: 0 },
  { name: 'clipped, L2', clip: true, decay: 0.01, decoupled: 0 },
  { name: 'decoupled', clip: true, decay: 0, decoupled: 0.1 },
] as const;

/** Name and arguments that all optimizers share. */
function updateOf(count: number, variant: number) {
  const { name, clip, decay, decoupled } = ways[variant % 3]!;
  const args = {
    w: update(count),
    g: input(count),
    count,
    clip: clip ? clipBlock() : null,
    decay,
    decoupled,
  };
  return { name: `${count} ${name}`, args };
}

/** [norm, factor] */
function clipBlock(): Block {
  return input(2, (_, i) => [7, 0.625][i]!);
}

export const updateCases = {
  blockNorms: family(
    (count: number) => {
      const blocks = output(Math.ceil(count / normBlockSize));
      return batteryCase('blockNorms', String(count), 'uneven', { blocks, x: input(count), count });
    },
    [0, 1, 4099, 2 * normBlockSize, 3 * normBlockSize + 77],
    drawCount,
  ),

  clipFactor: family(
    (count: number, variant) => {
      const maximum = [0.05, 1e3, Infinity][variant % 3]!;
      const args = { clip: output(2), blocks: input(count, positive), count, maximum };
      return batteryCase('clipFactor', `${count} to ${maximum}`, 'uneven', args);
    },
    [0, 1, 2, 3, 7, 100],
    (draw) => draw.size(130),
  ),

  sgd: family(
    (count: number, variant) => {
      const { name, args } = updateOf(count, variant);
      return batteryCase('sgd', name, 'uneven', args);
    },
    kept,
    drawCount,
  ),

  momentum: family(
    (count: number, variant) => {
      const { name, args } = updateOf(count, variant);
      const nesterov = variant % 2;
      const own = { v: update(count), momentum: 0.9, nesterov };
      return batteryCase('momentum', `${name}${nesterov ? ' nesterov' : ''}`, 'uneven', { ...args, ...own });
    },
    kept,
    drawCount,
  ),

  adam: family(
    (count: number, variant) => {
      const { name, args } = updateOf(count, variant);
      const rates = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
      const own = { m: update(count), v: update(count, positive), ...rates };
      return batteryCase('adam', name, 'uneven', { ...args, ...own });
    },
    kept,
    drawCount,
  ),
} as const;
