// Cases of the kernels that work element by element, and of those that only move memory.

import { batteryCase, type Contents, edges, input, output, signed, update } from './battery-case.ts';
import type { Draw } from './battery-draw.ts';
import { family, layoutOf, type Place, sampleSizeMax, samplesMax } from './battery-family.ts';
import { unaryKinds } from './kernel-list.ts';

/** Elements a row; `kind` of an activation. */
interface Shape {
  readonly place: Place;
  readonly size: number;
  readonly kind: number;
}

const everyKind = unaryKinds.map((_, kind) => kind);
/** Three in a row of each kind: in place, at the edges of what an exponential takes, and plain (variants are by index). */
const kept: readonly Shape[] = everyKind.flatMap((kind) =>
  (['few', 'uneven', 'middle'] as const).map((place) => ({ place, size: 33, kind })),
);
const keptOnce: readonly Shape[] = (['idle', 'uneven', 'middle'] as const).map((place) => ({
  place,
  size: 33,
  kind: 0,
}));

function drawShape(draw: Draw, elementsMax: number): Shape {
  const place = draw.layout(samplesMax(elementsMax));
  const size = draw.size(sampleSizeMax(place, elementsMax));
  return { place, size, kind: draw.below(unaryKinds.length) };
}

/** Activations that the derivative sees through their value: y must be one that the activation can give. */
const activationValue =
  (kind: number, alpha: number): Contents =>
  (u) => {
    const x = 2 * u - 1;
    if (unaryKinds[kind] === 'sigmoid') return u;
    return x > 0 || unaryKinds[kind] === 'tanh' ? x : alpha * x;
  };

const alpha = 0.3;

export const elementwiseCases = {
  barrier: family(
    () => batteryCase('barrier', 'alone', 'one', {}, { oneLane: true }),
    [0],
    () => 0,
  ),

  fill: family(
    (count: number) =>
      batteryCase('fill', String(count), 'uneven', { out: output(count), count, value: 0.3 }),
    [0, 1000],
    (draw) => draw.size(300),
  ),

  copyColumns: family(
    ({ place, size: count }: Shape, variant) => {
      const positions = 1 + (variant % 3);
      const rows = layoutOf(place).rows * positions;
      const [yFrom, xFrom] = [variant % 4, variant % 6];
      return batteryCase('copyColumns', `${count} at ${yFrom} from ${xFrom} of ${positions}`, place, {
        y: update(rows * (count + yFrom + 4)),
        yColumns: count + yFrom + 4,
        yFrom,
        x: input(rows * (count + xFrom)),
        xColumns: count + xFrom,
        xFrom,
        count,
        positions,
      });
    },
    keptOnce,
    drawShape,
  ),

  unaryForward: family(
    ({ place, size, kind }: Shape, variant) => {
      const count = layoutOf(place).rows * size;
      const y = variant % 3 === 0 ? update(count, edges) : output(count);
      const x = variant % 3 === 0 ? y : input(count, variant % 3 === 1 ? edges : (u) => 8 * u - 4);
      return batteryCase('unaryForward', `${unaryKinds[kind]} ${size}`, place, { y, x, size, kind, alpha });
    },
    kept,
    drawShape,
  ),

  unaryBackward: family(
    ({ place, size, kind }: Shape, variant) => {
      const count = layoutOf(place).rows * size;
      const dx = variant % 3 === 0 ? update(count) : output(count);
      const byInput = unaryKinds[kind] === 'gelu';
      return batteryCase('unaryBackward', `${unaryKinds[kind]} ${size}`, place, {
        dx,
        dy: variant % 3 === 0 ? dx : input(count),
        x: byInput ? input(count, (u) => 12 * u - 6) : null,
        y: byInput ? null : input(count, activationValue(kind, alpha)),
        size,
        kind,
        alpha,
      });
    },
    kept,
    drawShape,
  ),

  add: family(
    ({ place, size }: Shape, variant) => {
      const count = layoutOf(place).rows * size;
      const y = variant % 3 === 0 ? update(count) : output(count);
      const a = variant % 3 === 0 ? y : input(count, signed);
      const operands = { y, a, b: input(count, edges) };
      return batteryCase('add', String(size), place, { ...operands, size, activation: variant % 2 });
    },
    keptOnce,
    drawShape,
  ),

  dropout: family(
    ({ place, size }: Shape, variant) => {
      const count = layoutOf(place).rows * size;
      const keep = [0.5, 0.9][variant % 2]!;
      const y = variant % 3 === 0 ? update(count) : output(count);
      const x = variant % 3 === 0 ? y : input(count);
      const rate = { layer: variant, threshold: Math.floor(keep * 2 ** 32), scale: 1 / keep };
      return batteryCase('dropout', `${size} keep ${keep}`, place, { y, x, size, ...rate });
    },
    keptOnce,
    drawShape,
  ),
} as const;
