// The placing of buffers by lifetime, on arbitrary lifetimes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Lifetime, placeByLifetime } from '../../../src/compile/plan.ts';

const lifetimesArbitrary = fc.array(
  fc.record({ size: fc.integer({ min: 0, max: 200 }), from: fc.nat(20), length: fc.nat(10) }),
  { maxLength: 30 },
);

const livesOf = (rows: readonly { size: number; from: number; length: number }[]): Lifetime[] =>
  rows.map(({ size, from, length }, i) => ({
    buffer: { name: `${i}`, size, rowSize: null, permanent: false },
    from,
    to: from + length,
  }));

describe('placing by lifetime', () => {
  it('never lets two buffers overlap in time and in place', () => {
    fc.assert(
      fc.property(lifetimesArbitrary, (rows) => {
        const lives = livesOf(rows);
        const places = new Map();
        const end = placeByLifetime(lives, 64, places);
        lives.forEach((a, i) => {
          const [from, to] = [places.get(a.buffer), places.get(a.buffer) + a.buffer.size];
          expect(from % 16).toBe(0);
          expect(from >= 64 && to <= end).toBe(true);
          for (const b of lives.slice(i + 1)) {
            const sameTime = a.from <= b.to && b.from <= a.to;
            const other = places.get(b.buffer);
            if (sameTime && a.buffer.size > 0 && b.buffer.size > 0) {
              expect(to <= other || other + b.buffer.size <= from).toBe(true);
            }
          }
        });
      }),
    );
  });

  it('gives memory on when its first owner is done', () => {
    const lives = livesOf([
      { size: 160, from: 0, length: 1 },
      { size: 160, from: 2, length: 1 },
      { size: 160, from: 1, length: 1 },
    ]);
    expect(placeByLifetime(lives, 0, new Map())).toBe(320);
  });
});
