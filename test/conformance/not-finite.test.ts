// A number gone bad must reach the loss, on every backend: a kernel that turns NaN into 0 would hide a broken run.
// Apart from the battery, because the payload of a NaN may differ between machines.

import { describe, expect, it } from 'vitest';
import {
  type BatteryCase,
  batteryCase,
  type Contents,
  input,
  output,
} from '../../src/kernels/battery-case.ts';
import { runCase } from '../../src/kernels/battery-run.ts';
import { unaryKinds } from '../../src/kernels/kernel-list.ts';
import { candidates } from './backends.ts';

const size = 21;
const bad = 18;
/** NaN at one element, beyond the first vector. */
const spoilt: Contents = (u, i) => (i === bad ? NaN : u - 0.5);
const infinite: Contents = (u, i) => (i === bad ? Infinity : u - 0.5);
const pixel = {
  height: 1,
  width: size,
  kernelHeight: 1,
  kernelWidth: 1,
  strideHeight: 1,
  strideWidth: 1,
  padTop: 0,
  padLeft: 0,
  outHeight: 1,
  outWidth: size,
} as const;

/** Cases whose first output is [1, size] and must be NaN at `bad` alone. */
const elementwise: readonly BatteryCase[] = [
  ...unaryKinds.map((name, kind) => {
    const args = { y: output(size), x: input(size, spoilt), size, kind, alpha: 0.1 };
    return batteryCase('unaryForward', name, 'one', args);
  }),
  ...[0, 1].flatMap((activation): BatteryCase[] => [
    batteryCase('add', `activation ${activation}`, 'one', {
      y: output(size),
      a: input(size, spoilt),
      b: input(size),
      size,
      activation,
    }),
    batteryCase('denseForward', `bias, activation ${activation}`, 'one', {
      y: output(size),
      x: input(3),
      w: input(3 * size),
      bias: input(size, spoilt),
      inputs: 3,
      outputs: size,
      activation,
    }),
    batteryCase('convForward', `activation ${activation}`, 'one', {
      y: output(size),
      x: input(size, spoilt),
      w: input(1, () => 0.5),
      bias: null,
      ...pixel,
      channels: 1,
      filters: 1,
      activation,
    }),
    batteryCase('normalizeForward', `activation ${activation}`, 'one', {
      y: output(size),
      x: input(size, spoilt),
      mean: input(size),
      inverse: input(size),
      gamma: input(size),
      beta: input(size),
      positions: 1,
      channels: size,
      activation,
      perShard: 0,
    }),
  ]),
];

/** Windows of one output by channel, NaN in one tap of one channel: the tap may be any, ahead of larger ones or behind. */
const pooled = (
  [
    [2, 2],
    [1, 3],
  ] as const
).flatMap(([kernelHeight, kernelWidth]) =>
  Array.from({ length: kernelHeight * kernelWidth }, (_, tap) => {
    const window = {
      ...pixel,
      height: kernelHeight,
      width: kernelWidth,
      kernelHeight,
      kernelWidth,
      channels: size,
      outWidth: 1,
    };
    const test = batteryCase(
      'maxPoolForward',
      `NaN in tap ${tap} of ${kernelHeight} x ${kernelWidth}`,
      'one',
      {
        y: output(size),
        choice: output(size),
        x: input(kernelHeight * kernelWidth * size, (u, i) => (i === tap * size + bad ? NaN : u - 0.5)),
        ...window,
      },
    );
    return { name: test.name, test, tap };
  }),
);

/** Cases whose one loss must not be finite. */
const losses = [spoilt, infinite].flatMap((contents) =>
  (['softmaxCrossEntropy', 'sigmoidCrossEntropy', 'meanSquaredError'] as const).map((kernel) => {
    const target = input(kernel === 'softmaxCrossEntropy' ? 1 : size, () => 0);
    const args = { loss: output(1), dx: null, x: input(size, contents), target, size };
    return batteryCase<typeof kernel>(kernel, contents === spoilt ? 'NaN' : 'infinity', 'one', args);
  }),
);

/** Records of [count, mean, m2] for three channels, the middle one's m2 as given. */
const prepared = (m2: number, count: number): BatteryCase =>
  batteryCase('momentsPrepare', `m2 ${m2} of ${count}`, 'one', {
    mean: output(3),
    inverse: output(3),
    record: input(7, (_, i) => [count, 1, 2, 3, 0.5, m2, 0.5][i]!),
    records: 1,
    channels: 3,
    epsilon: 1e-3,
  }) as BatteryCase;

describe.each(candidates.filter(({ backend }) => backend !== null))('$name', ({ backend }) => {
  it.each(elementwise.map((test) => [`${test.kernel} ${test.name}`, test] as const))(
    '%s keeps NaN',
    (_, test) => {
      const { floats } = runCase(backend!, test, 1);
      expect([...floats.keys()].filter((i) => Number.isNaN(floats[i]))).toEqual([bad]);
    },
  );

  it.each(pooled)('maximum of $name: NaN wins', ({ test, tap }) => {
    const { floats, ints } = runCase(backend!, test as BatteryCase, 1);
    expect([...floats.keys()].filter((i) => Number.isNaN(floats[i]))).toEqual([bad]);
    expect(ints[bad]).toBe(tap);
  });

  it.each([Infinity, NaN])('an inverse deviation of a variance that is %d is NaN', (m2) => {
    const { floats } = runCase(backend!, prepared(m2, 4), 1);
    expect([...floats.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect([...floats.subarray(3)].map(Number.isFinite)).toEqual([true, false, true]);
    expect(floats[4]).toBeNaN();
  });

  it('a batch whose variance overflows has statistics that are not finite', () => {
    const x = input(6, (_, i) => [1e30, 1, -1e30, 2, 1e30, 3][i]!);
    const args = { leaves: output(5), x, positions: 3, channels: 2 };
    const { floats } = runCase(
      backend!,
      batteryCase('momentsLeaves', 'overflow', 'one', args) as BatteryCase,
      1,
    );
    expect([...floats].map(Number.isFinite)).toEqual([true, true, true, false, true]);
  });

  it.each(losses.map((test) => [`${test.kernel} of ${test.name}`, test] as const))(
    '%s is not finite',
    (_, test) => {
      expect(Number.isFinite(runCase(backend!, test as BatteryCase, 1).floats[0])).toBe(false);
    },
  );
});
