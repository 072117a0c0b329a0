// Cases of softmax, losses and metrics: one row, one number.

import { batteryCase, type Contents, classIndex, edges, input, output } from './battery-case.ts';
import type { Draw } from './battery-draw.ts';
import { family, layoutOf, type Place, sampleSizeMax, samplesMax } from './battery-family.ts';

/** Outputs a row. */
type Shape = readonly [place: Place, size: number];

const kept: readonly Shape[] = [
  ['idle', 10],
  ['one', 15],
  ['few', 17],
  ['large', 1000],
];

function drawShape(draw: Draw, elementsMax: number): Shape {
  const place = draw.layout(samplesMax(elementsMax));
  return [place, draw.size(sampleSizeMax(place, elementsMax))];
}

const logits = (u: number): number => 20 * u - 10;
const share = (u: number): number => u;
const twoValues = (u: number): number => (u < 0.7 ? -1 : 1);
const bit = (u: number): number => (u < 0.5 ? 0 : 1);

/** Loss and gradient, and every third time the loss alone (evaluation). */
function lossArguments([place, size]: Shape, variant: number, targetSize: number, targets: Contents) {
  const { rows } = layoutOf(place);
  const dx = variant % 3 === 2 ? null : output(rows * size);
  const x = input(rows * size, variant % 4 === 1 ? edges : logits);
  const args = { loss: output(rows), dx, x, target: input(rows * targetSize, targets), size };
  return { name: `${size}${dx ? '' : ' loss alone'}`, args };
}

export const lossCases = {
  softmaxForward: family(
    ([place, size]: Shape, variant) => {
      const count = layoutOf(place).rows * size;
      const x = input(count, variant % 3 === 1 ? edges : logits);
      return batteryCase('softmaxForward', String(size), place, { y: output(count), x, size });
    },
    kept,
    drawShape,
  ),

  softmaxBackward: family(
    ([place, size]: Shape) => {
      const count = layoutOf(place).rows * size;
      const y = input(count, (u) => (2 * u) / size);
      return batteryCase('softmaxBackward', String(size), place, {
        dx: output(count),
        dy: input(count),
        y,
        size,
      });
    },
    kept,
    drawShape,
  ),

  softmaxCrossEntropy: family(
    (shape: Shape, variant) => {
      const { name, args } = lossArguments(shape, variant, 1, classIndex(shape[1]));
      return batteryCase('softmaxCrossEntropy', name, shape[0], args);
    },
    kept,
    drawShape,
  ),

  sigmoidCrossEntropy: family(
    (shape: Shape, variant) => {
      const { name, args } = lossArguments(shape, variant, shape[1], share);
      return batteryCase('sigmoidCrossEntropy', name, shape[0], args);
    },
    kept,
    drawShape,
  ),

  meanSquaredError: family(
    (shape: Shape, variant) => {
      const { name, args } = lossArguments(shape, variant, shape[1], logits);
      return batteryCase('meanSquaredError', name, shape[0], args);
    },
    kept,
    drawShape,
  ),

  classCorrect: family(
    ([place, size]: Shape, variant) => {
      const { rows } = layoutOf(place);
      const x = input(rows * size, variant % 2 ? twoValues : logits); // twoValues: several equal maxima, the first counts
      const target = input(rows, classIndex(Math.min(size, 3)));
      return batteryCase('classCorrect', String(size), place, { out: output(rows), x, target, size });
    },
    kept,
    drawShape,
  ),

  binaryCorrect: family(
    ([place, size]: Shape) => {
      const { rows } = layoutOf(place);
      const target = input(rows * size, bit);
      const args = { out: output(rows), x: input(rows * size), target, size, threshold: 0.1 };
      return batteryCase('binaryCorrect', String(size), place, args);
    },
    kept,
    drawShape,
  ),

  absoluteError: family(
    ([place, size]: Shape) => {
      const { rows } = layoutOf(place);
      const target = input(rows * size);
      const x = input(rows * size, logits);
      return batteryCase('absoluteError', String(size), place, { out: output(rows), x, target, size });
    },
    kept,
    drawShape,
  ),
} as const;
