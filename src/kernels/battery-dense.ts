// Cases of the dense kernels.

import { batteryCase, input, output, rectified } from './battery-case.ts';
import type { Draw } from './battery-draw.ts';
import { family, layoutOf, type Place, sampleSizeMax, samplesMax } from './battery-family.ts';

type Shape = readonly [place: Place, inputs: number, outputs: number];

const kept: readonly Shape[] = [
  ['idle', 4, 5],
  ['many', 9, 21],
  // More terms than one block of depth; more columns than one block of panels.
  ['uneven', 1100, 35],
  ['uneven', 35, 1100],
  // Short shards: two sibling leaves in one tile.
  ['large', 300, 40],
];

function drawShape(draw: Draw, elementsMax: number): Shape {
  const place = draw.layout(samplesMax(elementsMax));
  const most = Math.min(Math.floor(Math.sqrt(elementsMax)), sampleSizeMax(place, elementsMax));
  return [place, draw.size(most), draw.size(most)];
}

/** Blocks of a long sum; more columns than lie on the stack. */
const keptSums: readonly Shape[] = [
  ['idle', 3, 4],
  ['many', 9, 21],
  ['one', 200, 5],
  ['few', 1, 1100],
];

export const denseCases = {
  denseForward: family(
    ([place, inputs, outputs]: Shape, variant) => {
      const { rows } = layoutOf(place);
      const activation = variant % 2;
      const bias = variant % 3 === 2 ? null : input(outputs);
      const name = `${inputs} x ${outputs}${bias ? ' bias' : ''}${activation ? ' relu' : ''}`;
      const operands = { y: output(rows * outputs), x: input(rows * inputs), w: input(inputs * outputs) };
      return batteryCase('denseForward', name, place, { ...operands, bias, inputs, outputs, activation });
    },
    kept,
    drawShape,
  ),

  denseInputGradient: family(
    ([place, inputs, outputs]: Shape, variant) => {
      const { rows } = layoutOf(place);
      const mask = variant % 2 ? input(rows * inputs, rectified) : null;
      return batteryCase('denseInputGradient', `${inputs} x ${outputs}${mask ? ' mask' : ''}`, place, {
        dx: output(rows * inputs),
        dy: input(rows * outputs),
        w: input(inputs * outputs),
        mask,
        inputs,
        outputs,
      });
    },
    kept,
    drawShape,
  ),

  denseWeightGradient: family(
    ([place, inputs, outputs]: Shape) => {
      const { rows, ownNodes } = layoutOf(place);
      const stride = inputs * outputs + 19;
      return batteryCase('denseWeightGradient', `${inputs} x ${outputs}`, place, {
        dw: output(ownNodes * stride),
        stride,
        x: input(rows * inputs),
        dy: input(rows * outputs),
        inputs,
        outputs,
      });
    },
    kept,
    drawShape,
  ),

  columnSums: family(
    ([place, positions, columns]: Shape) => {
      const { rows, ownNodes } = layoutOf(place);
      const stride = columns + 16;
      return batteryCase('columnSums', `${positions} x ${columns}`, place, {
        out: output(ownNodes * stride),
        stride,
        x: input(rows * positions * columns),
        positions,
        columns,
      });
    },
    keptSums,
    (draw, elementsMax): Shape => {
      const [place, positions, columns] = drawShape(draw, elementsMax);
      const positionsMax = Math.ceil(elementsMax / columns / (1 + layoutOf(place).rows));
      return [place, Math.min(positions, positionsMax), columns];
    },
  ),
} as const;
