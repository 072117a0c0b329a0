// Philox against the known-answer vectors of its authors (Random123), and its mapping to [0, 1).

import { describe, expect, it } from 'vitest';
import { philox, uniform } from '../../../src/numerics/philox.ts';

function words(key: readonly number[], counter: readonly number[]): string {
  const out = new Uint32Array(4);
  philox(key[0]!, key[1]!, counter[0]!, counter[1]!, counter[2]!, counter[3]!, out);
  return Array.from(out, (word) => word.toString(16).padStart(8, '0')).join(' ');
}

describe('philox', () => {
  it('gives the published vectors', () => {
    expect(words([0, 0], [0, 0, 0, 0])).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    const ones = 0xffffffff;
    expect(words([ones, ones], [ones, ones, ones, ones])).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    const pi = words([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]);
    expect(pi).toBe('d16cfe09 94fdcceb 5001e420 24126ea1');
  });

  it('takes words modulo 2^32, signed or not', () => {
    expect(words([-1, -1], [-1, -1, -1, -1])).toBe(words([2 ** 32 - 1, -1], [2 ** 33 - 1, -1, -1, -1]));
  });

  it('maps words to [0, 1) with 24 bits', () => {
    expect([uniform(0), uniform(0x80000000), uniform(0xffffffff)]).toEqual([0, 0.5, 1 - 2 ** -24]);
  });
});
