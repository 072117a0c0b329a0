// Cases of the dense kernels: sizes around the vector widths, beyond every register and cache block.

import { batteryCase, input, type LayoutName, layouts, output, rectified } from './battery-case.ts';

/** Layout, inputs, outputs. */
const sizes: readonly (readonly [LayoutName, number, number])[] = [
  ['one', 1, 1],
  ['one', 17, 15],
  ['even', 16, 16],
  ['uneven', 15, 17],
  ['few', 5, 33],
  ['middle', 33, 70],
  ['sparse', 7, 16],
  ['idle', 4, 5],
  ['large', 300, 40],
  ['large', 20, 130],
  ['many', 9, 21],
  ['uneven', 1100, 35],
  ['uneven', 35, 1100],
];

export const denseCases = {
  denseForward: sizes.flatMap(([layout, inputs, outputs], i) => {
    const rows = layouts[layout].rows;
    const activation = i % 2;
    const bias = i % 3 === 2 ? null : input(outputs);
    return batteryCase(
      'denseForward',
      `${inputs} x ${outputs}${bias ? ' bias' : ''}${activation ? ' relu' : ''}`,
      layout,
      {
        y: output(rows * outputs),
        x: input(rows * inputs),
        w: input(inputs * outputs),
        bias,
        inputs,
        outputs,
        activation,
      },
    );
  }),

  denseInputGradient: sizes.map(([layout, inputs, outputs], i) => {
    const rows = layouts[layout].rows;
    const mask = i % 2 ? input(rows * inputs, rectified) : null;
    return batteryCase('denseInputGradient', `${inputs} x ${outputs}${mask ? ' mask' : ''}`, layout, {
      dx: output(rows * inputs),
      dy: input(rows * outputs),
      w: input(inputs * outputs),
      mask,
      inputs,
      outputs,
    });
  }),

  denseWeightGradient: sizes.map(([layout, inputs, outputs]) => {
    const { rows, ownNodes } = layouts[layout];
    const stride = inputs * outputs + 19;
    return batteryCase('denseWeightGradient', `${inputs} x ${outputs}`, layout, {
      dw: output(ownNodes * stride),
      stride,
      x: input(rows * inputs),
      dy: input(rows * outputs),
      inputs,
      outputs,
    });
  }),

  columnSums: sizes.map(([layout, inputs, columns]) => {
    const positions = Math.min(inputs, 36);
    const { rows, ownNodes } = layouts[layout];
    const stride = columns + 16;
    return batteryCase('columnSums', `${positions} x ${columns}`, layout, {
      out: output(ownNodes * stride),
      stride,
      x: input(rows * positions * columns),
      positions,
      columns,
    });
  }),
} as const;
