// numerics/math.ts against the engine's own functions, which are good to about one unit in the last place.

import { describe, expect, it } from 'vitest';
import { cos, erf, exp, expMinusOne, log, logOnePlus, sin, sqrt, tanh } from '../../../src/numerics/math.ts';

function grid(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
}

/** Largest |f - g| / max(|g|, floor) over `xs`. */
function worst(f: (x: number) => number, g: (x: number) => number, xs: readonly number[], floor = 0): number {
  return Math.max(...xs.map((x) => Math.abs(f(x) - g(x)) / (Math.max(Math.abs(g(x)), floor) || 1)));
}

describe('math', () => {
  it.each([
    ['exp', exp, Math.exp, grid(-700, 700, 5001), 0],
    ['exp near 0', exp, Math.exp, grid(-2, 2, 5001), 0],
    ['expMinusOne', expMinusOne, Math.expm1, [...grid(-5, 5, 5000), 1e-9, -1e-300], 0],
    ['log', log, Math.log, [...grid(1e-3, 30, 5000), 1e300, 1e-300, 5e-324], 0],
    ['log near 1', log, Math.log, grid(0.9, 1.1, 5000), 0],
    ['logOnePlus', logOnePlus, Math.log1p, [...grid(-0.9, 3, 5000), 1e-12, 1e-300], 0],
    ['tanh', tanh, Math.tanh, [...grid(-22, 22, 5000), 1e-9, -1e-300], 0],
    ['sin', sin, Math.sin, grid(-20, 20, 5000), 1e-2],
    ['cos', cos, Math.cos, grid(-20, 20, 5000), 1e-2],
  ] as const)('%s agrees to 1e-15', (_, own, engine, xs, floor) => {
    expect(worst(own, engine, xs, floor)).toBeLessThan(1e-15);
  });

  it('erf agrees with tabulated values (Abramowitz and Stegun, table 7.1) and is odd', () => {
    const table: [number, number][] = [
      [0.02, 0.0225645747],
      [0.5, 0.5204998778],
      [1, 0.8427007929],
      [1.5, 0.9661051465],
      [2, 0.995322265],
    ];
    for (const [x, y] of table) {
      expect(Math.abs(erf(x) - y)).toBeLessThan(6e-11);
      expect(erf(-x)).toBe(-erf(x));
    }
  });

  it('erf: series and continued fraction meet, and its derivative is that of erf', () => {
    expect(Math.abs(erf(2) - erf(2 + 2 ** -50))).toBeLessThan(1e-15);
    for (const x of [0.1, 1.3, 1.9, 2.1, 4]) {
      const slope = (erf(x + 1e-5) - erf(x - 1e-5)) / 2e-5;
      expect(Math.abs(slope - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x))).toBeLessThan(1e-9);
    }
  });

  it('handles the ends', () => {
    expect([exp(-Infinity), exp(Infinity), exp(NaN), exp(0)]).toEqual([0, Infinity, NaN, 1]);
    expect([log(0), log(Infinity), log(-1), log(NaN), log(1)]).toEqual([-Infinity, Infinity, NaN, NaN, 0]);
    expect([tanh(Infinity), tanh(-Infinity), tanh(NaN), tanh(-0)]).toEqual([1, -1, NaN, -0]);
    expect([erf(Infinity), erf(-Infinity), erf(NaN), erf(-0)]).toEqual([1, -1, NaN, -0]);
    expect([sqrt(2), sqrt(0), logOnePlus(Infinity)]).toEqual([Math.SQRT2, 0, Infinity]);
  });
});
