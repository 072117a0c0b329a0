// The reference kernels against numbers worked out by hand and identities they must obey: they are the oracle of all
// other backends, so they are held against mathematics, not against another program.

import { describe, expect, it } from 'vitest';
import {
  type BatteryCase,
  batteryCase,
  type Contents,
  input,
  output,
  signed,
} from '../../../src/kernels/battery-case.ts';
import { runCase } from '../../../src/kernels/battery-run.ts';
import { unaryKinds } from '../../../src/kernels/kernel-list.ts';
import { referenceBackend } from '../../../src/kernels/reference/backend.ts';

const double = referenceBackend(64);

function values(...list: readonly number[]): ReturnType<typeof input> {
  return input(list.length, (_, i) => list[i]!);
}

function run(test: unknown): number[] {
  return [...runCase(double, test as BatteryCase, 1).floats];
}

describe('by hand', () => {
  it('dense: [1 2] . [[3 4] [5 6]] + [1 -100], relu', () => {
    const args = { y: output(2), x: values(1, 2), w: values(3, 4, 5, 6), bias: values(1, -100) };
    expect(
      run(batteryCase('denseForward', '', 'one', { ...args, inputs: 2, outputs: 2, activation: 1 })),
    ).toEqual([14, 0]);
  });

  it('convolution: 2 x 2 of ones over 3 x 3, padded on the left', () => {
    const image = values(1, 2, 3, 4, 5, 6, 7, 8, 9);
    const window = {
      height: 3,
      width: 3,
      channels: 1,
      kernelHeight: 2,
      kernelWidth: 2,
      strideHeight: 1,
      strideWidth: 2,
      padTop: 0,
      padLeft: 1,
      outHeight: 2,
      outWidth: 2,
    };
    const args = {
      y: output(4),
      x: image,
      w: values(1, 1, 1, 1),
      bias: values(0.5),
      ...window,
      filters: 1,
      activation: 0,
    };
    expect(run(batteryCase('convForward', '', 'one', args))).toEqual([5.5, 16.5, 11.5, 28.5]);
  });

  it('moments of 2, 4, 6: count 3, mean 4, m2 8', () => {
    const args = { leaves: output(3), x: values(2, 4, 6), positions: 3, channels: 1 };
    expect(run(batteryCase('momentsLeaves', '', 'one', args))).toEqual([3, 4, 8]);
  });

  it('softmax cross entropy of [0 0 0 0] is log 4', () => {
    const args = { loss: output(1), dx: output(4), x: values(0, 0, 0, 0), target: values(2), size: 4 };
    const [loss, ...dx] = run(batteryCase('softmaxCrossEntropy', '', 'one', args));
    expect(loss).toBeCloseTo(Math.log(4), 15);
    expect(dx).toEqual([0.25, 0.25, -0.75, 0.25]);
  });

  it('momentum: v = 0.5 * 4 + 2, w = 10 - 0.0125 * v', () => {
    const state = { w: values(10), g: values(2), v: values(4), count: 1, clip: null };
    const test = batteryCase('momentum', '', 'one', {
      ...state,
      w: { ...state.w, role: 'update' },
      v: { ...state.v, role: 'update' },
      decay: 0,
      decoupled: 0,
      momentum: 0.5,
      nesterov: 0,
    });
    const [w, v] = run(test);
    expect(v).toBe(4);
    expect(w).toBeCloseTo(10 - 0.0125 * 4, 8);
  });

  it('clip: the norm 5 of blocks of norms 3 and 4 is brought to 2', () => {
    const args = { clip: output(2), blocks: values(3, 4), count: 2, maximum: 2 };
    const [norm, factor, result] = run(batteryCase('clipFactor', '', 'one', args));
    expect([norm, factor, result]).toEqual([5, 0.4, 5]);
  });
});

/** Sum of a[i] * b[i], where b are a case's contents as the battery draws them. */
function inner(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

describe('identities', () => {
  const shape = {
    height: 5,
    width: 4,
    channels: 3,
    kernelHeight: 3,
    kernelWidth: 2,
    strideHeight: 2,
    strideWidth: 1,
    padTop: 1,
    padLeft: 1,
    outHeight: 3,
    outWidth: 5,
  };
  const wave =
    (phase: number): Contents =>
    (_, i) =>
      Math.fround(Math.sin(i * 1.7 + phase));
  const drawn = (count: number, phase: number): number[] =>
    Array.from({ length: count }, (_, i) => wave(phase)(0, i));
  const [pixels, weights, outputs] = [60, 36, 30];

  it('the gradients of a convolution are its adjoints: <dy, conv(x, w)> = <dx, x> = <dw, w>', () => {
    const x = input(pixels, wave(1));
    const w = input(weights, wave(2));
    const dy = input(outputs, wave(3));
    const window = { ...shape, filters: 2 };
    const y = run(
      batteryCase('convForward', '', 'one', {
        y: output(outputs),
        x,
        w,
        bias: null,
        ...window,
        activation: 0,
      }),
    );
    const dx = run(
      batteryCase('convInputGradient', '', 'one', { dx: output(pixels), dy, w, mask: null, ...window }),
    );
    const dw = run(
      batteryCase('convWeightGradient', '', 'one', {
        dw: output(weights),
        stride: weights,
        x,
        dy,
        ...window,
      }),
    );
    const expected = inner(y, drawn(outputs, 3));
    expect(inner(dx, drawn(pixels, 1))).toBeCloseTo(expected, 12);
    expect(inner(dw, drawn(weights, 2))).toBeCloseTo(expected, 12);
  });

  it('the gradient of average pooling is its adjoint', () => {
    const size = shape.outHeight * shape.outWidth * shape.channels;
    const y = run(
      batteryCase('averagePoolForward', '', 'one', { y: output(size), x: input(pixels, wave(1)), ...shape }),
    );
    const dx = run(
      batteryCase('averagePoolBackward', '', 'one', {
        dx: output(pixels),
        dy: input(size, wave(3)),
        ...shape,
      }),
    );
    expect(inner(dx, drawn(pixels, 1))).toBeCloseTo(inner(y, drawn(size, 3)), 12);
  });

  it.each(unaryKinds.map((name, kind) => [name, kind] as const))(
    'the slope of %s is its difference quotient',
    (_, kind) => {
      const size = 40;
      const at = (shift: number): ReturnType<typeof input> => input(size, (__, i) => (i - 19.5) / 8 + shift);
      const forward = (shift: number): number[] =>
        run(
          batteryCase('unaryForward', '', 'one', { y: output(size), x: at(shift), size, kind, alpha: 0.25 }),
        );
      const step = 2 ** -12; // exact in float32 beside the points
      const [below, y, above] = [forward(-step), forward(0), forward(step)];
      const known = { x: at(0), y: input(size, (__, i) => y[i]!) };
      const ones = input(size, () => 1);
      const slope = run(
        batteryCase('unaryBackward', '', 'one', {
          dx: output(size),
          dy: ones,
          ...known,
          size,
          kind,
          alpha: 0.25,
        }),
      );
      slope.forEach((value, i) => {
        expect(Math.abs(value - (above[i]! - below[i]!) / (2 * step))).toBeLessThan(1e-6);
      });
    },
  );

  it('dropout keeps about its share, and the same elements forward and backward', () => {
    const size = 10_000;
    const keep = 0.7;
    const masks = [wave(1), signed].map((contents) => {
      const x = input(size, contents);
      const rate = { layer: 2, threshold: Math.floor(keep * 2 ** 32), scale: 1 / keep };
      return run(batteryCase('dropout', '', 'one', { y: output(size), x, size, ...rate })).map(
        (y) => y !== 0,
      );
    });
    expect(masks[0]).toEqual(masks[1]);
    const kept = masks[0]!.filter(Boolean).length / size;
    expect(Math.abs(kept - keep)).toBeLessThan(4 * Math.sqrt((keep * (1 - keep)) / size));
  });
});
