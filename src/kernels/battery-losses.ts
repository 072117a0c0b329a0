// Cases of softmax, losses and metrics: one row, one number.

import {
  batteryCase,
  type Contents,
  classIndex,
  edges,
  input,
  type LayoutName,
  layouts,
  output,
} from './battery-case.ts';

/** Layout, outputs a row. */
const sizes: readonly (readonly [LayoutName, number])[] = [
  ['one', 1],
  ['one', 15],
  ['even', 10],
  ['uneven', 16],
  ['few', 17],
  ['middle', 33],
  ['sparse', 100],
  ['idle', 10],
  ['large', 1000],
];

const logits = (u: number): number => 20 * u - 10;
const share = (u: number): number => u;
const twoValues = (u: number): number => (u < 0.7 ? -1 : 1);
const bit = (u: number): number => (u < 0.5 ? 0 : 1);

/** Loss and gradient, and every third time the loss alone (evaluation). */
function lossArguments(targetSize: (size: number) => number, targetsOf: (size: number) => Contents) {
  return sizes.map(([layout, size], i) => {
    const { rows } = layouts[layout];
    const dx = i % 3 === 2 ? null : output(rows * size);
    const x = input(rows * size, i % 4 === 1 ? edges : logits);
    const target = input(rows * targetSize(size), targetsOf(size));
    return {
      name: `${size}${dx ? '' : ' loss alone'}`,
      layout,
      args: { loss: output(rows), dx, x, target, size },
    };
  });
}

const classTargets = lossArguments(() => 1, classIndex);
const shareTargets = lossArguments(
  (size) => size,
  () => share,
);
const valueTargets = lossArguments(
  (size) => size,
  () => logits,
);

export const lossCases = {
  softmaxForward: sizes.map(([layout, size], i) => {
    const count = layouts[layout].rows * size;
    const x = input(count, i % 3 === 1 ? edges : logits);
    return batteryCase('softmaxForward', String(size), layout, { y: output(count), x, size });
  }),

  softmaxBackward: sizes.map(([layout, size]) => {
    const count = layouts[layout].rows * size;
    const y = input(count, (u) => (2 * u) / size);
    return batteryCase('softmaxBackward', String(size), layout, {
      dx: output(count),
      dy: input(count),
      y,
      size,
    });
  }),

  softmaxCrossEntropy: classTargets.map(({ name, layout, args }) =>
    batteryCase('softmaxCrossEntropy', name, layout, args),
  ),
  sigmoidCrossEntropy: shareTargets.map(({ name, layout, args }) =>
    batteryCase('sigmoidCrossEntropy', name, layout, args),
  ),
  meanSquaredError: valueTargets.map(({ name, layout, args }) =>
    batteryCase('meanSquaredError', name, layout, args),
  ),

  classCorrect: sizes.map(([layout, size], i) => {
    const { rows } = layouts[layout];
    const x = input(rows * size, i % 2 ? twoValues : logits); // twoValues: several equal maxima, the first counts
    const target = input(rows, classIndex(Math.min(size, 3)));
    return batteryCase('classCorrect', String(size), layout, { out: output(rows), x, target, size });
  }),

  binaryCorrect: sizes.map(([layout, size]) => {
    const { rows } = layouts[layout];
    const target = input(rows * size, bit);
    const x = input(rows * size);
    return batteryCase('binaryCorrect', String(size), layout, {
      out: output(rows),
      x,
      target,
      size,
      threshold: 0.1,
    });
  }),

  absoluteError: sizes.map(([layout, size]) => {
    const { rows } = layouts[layout];
    const target = input(rows * size);
    const x = input(rows * size, logits);
    return batteryCase('absoluteError', String(size), layout, { out: output(rows), x, target, size });
  }),
} as const;
