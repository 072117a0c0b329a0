// float32Text: what is printed reads back as the same float32, and no shorter text would.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { float32Text } from '../../../src/numerics/float32-text.ts';

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

function float32OfBits(pattern: number): number {
  bits[0] = pattern;
  return float[0]!;
}

/** Digits that count: without sign, point, exponent, and zeros at either end. */
function digitsOf(text: string): string {
  const [mantissa = ''] = text.replace('-', '').split('e');
  return mantissa.replace('.', '').replace(/^0+/, '').replace(/0+$/, '');
}

/** By trying: a decimal of so many digits near the value that reads back, where there is one. */
function hasShorter(value: number, digits: number): boolean {
  const [mantissa = '', exponent = ''] = value.toExponential(digits - 1).split('e');
  const middle = Number(mantissa.replace('.', ''));
  return [-2, -1, 0, 1, 2].some(
    (step) => Math.fround(Number(`${middle + step}e${Number(exponent) - digits + 1}`)) === value,
  );
}

function check(value: number): void {
  const text = float32Text(value);
  expect(Object.is(Math.fround(Number(text)), value), `${value} is printed as ${text}`).toBe(true);
  expect(Object.is(Math.fround(JSON.parse(text)), value), `${text} in JSON`).toBe(true);
  const { length } = digitsOf(text);
  if (length > 1) expect(hasShorter(value, length - 1), `${value} is printed as ${text}`).toBe(false);
}

it('reads back bit for bit, and is the shortest: random bit patterns', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (pattern) => {
      const value = float32OfBits(pattern);
      if (Number.isFinite(value)) check(value);
    }),
    { numRuns: 100_000 },
  );
});

it('also of every power of two and its neighbours, where the distances change', () => {
  for (let exponent = 0; exponent < 255; exponent++) {
    for (const step of [-1, 0, 1]) {
      for (const sign of [0, 2 ** 31]) check(float32OfBits(Math.max(0, exponent * 2 ** 23 + step) + sign));
    }
  }
});

it.each([
  [0, '0'],
  [-0, '-0'],
  [1, '1'],
  [-3, '-3'],
  [16_777_216, '16777216'],
  [1_234_003.25, '1234003.3'],
  [Math.fround(0.1), '0.1'],
  [Math.fround(1 / 3), '0.33333334'],
  [Math.fround(1e-45), '1e-45'],
  [Math.fround(3.4028234663852886e38), '3.4028235e+38'],
  [Number.NaN, 'NaN'],
  [Number.NEGATIVE_INFINITY, '-Infinity'],
])('%s is %s', (value, text) => expect(float32Text(value)).toBe(text));
