// Cases of the kernels that work element by element, and of those that only move memory.

import {
  batteryCase,
  edges,
  input,
  type LayoutName,
  layouts,
  output,
  signed,
  update,
} from './battery-case.ts';
import { unaryKinds } from './kernel-list.ts';

/** Layout, elements a row. */
const sizes: readonly (readonly [LayoutName, number])[] = [
  ['one', 1],
  ['one', 17],
  ['even', 16],
  ['uneven', 15],
  ['few', 100],
  ['middle', 33],
  ['sparse', 3],
  ['idle', 8],
];

/** Activations that the derivative sees through their value: y must be one that the activation can give. */
const activationValue = (kind: number, alpha: number) => (u: number) => {
  const x = 2 * u - 1;
  if (unaryKinds[kind] === 'sigmoid') return u;
  return x > 0 || unaryKinds[kind] === 'tanh' ? x : alpha * x;
};

export const elementwiseCases = {
  barrier: [batteryCase('barrier', 'alone', 'one', {}, { oneLane: true })],

  fill: [0, 1, 15, 16, 17, 1000].map((count) =>
    batteryCase('fill', String(count), 'uneven', { out: output(count), count, value: 0.3 }),
  ),

  copyColumns: sizes.map(([layout, count]) => {
    const positions = layout === 'even' ? 3 : 1;
    const rows = layouts[layout].rows * positions;
    return batteryCase('copyColumns', String(count), layout, {
      y: update(rows * (count + 9)),
      yColumns: count + 9,
      yFrom: 5,
      x: input(rows * (count + 2)),
      xColumns: count + 2,
      xFrom: 1,
      count,
      positions,
    });
  }),

  unaryForward: unaryKinds.flatMap((name, kind) =>
    sizes.map(([layout, size], i) => {
      const count = layouts[layout].rows * size;
      const y = i % 3 === 0 ? update(count, edges) : output(count);
      const x = i % 3 === 0 ? y : input(count, i % 3 === 1 ? edges : (u) => 8 * u - 4);
      return batteryCase('unaryForward', `${name} ${size}`, layout, { y, x, size, kind, alpha: 0.3 });
    }),
  ),

  unaryBackward: unaryKinds.flatMap((name, kind) =>
    sizes.map(([layout, size], i) => {
      const count = layouts[layout].rows * size;
      const dx = i % 3 === 0 ? update(count) : output(count);
      return batteryCase('unaryBackward', `${name} ${size}`, layout, {
        dx,
        dy: i % 3 === 0 ? dx : input(count),
        x: name === 'gelu' ? input(count, (u) => 12 * u - 6) : null,
        y: name === 'gelu' ? null : input(count, activationValue(kind, 0.3)),
        size,
        kind,
        alpha: 0.3,
      });
    }),
  ),

  add: sizes.map(([layout, size], i) => {
    const count = layouts[layout].rows * size;
    const y = i % 3 === 0 ? update(count) : output(count);
    const a = i % 3 === 0 ? y : input(count, signed);
    return batteryCase('add', String(size), layout, {
      y,
      a,
      b: input(count, edges),
      size,
      activation: i % 2,
    });
  }),

  dropout: sizes.flatMap(([layout, size], i) => {
    const count = layouts[layout].rows * size;
    const keep = [0.5, 0.9][i % 2]!;
    const y = i % 3 === 0 ? update(count) : output(count);
    const x = i % 3 === 0 ? y : input(count);
    const threshold = Math.floor(keep * 2 ** 32);
    return batteryCase('dropout', `${size} keep ${keep}`, layout, {
      y,
      x,
      size,
      layer: i,
      threshold,
      scale: 1 / keep,
    });
  }),
} as const;
