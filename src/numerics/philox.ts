// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; 2011), the only source of
// random numbers. Counter-based: any number of any stream is computed on its own, by whoever needs it.

/** What a stream is for: the second word of the key. The first is the run's seed (uint32). */
export const randomPurposes = { initialize: 0, dropout: 1, shuffle: 2, data: 3 } as const;

/** The upper 32 bits of the 64-bit product of two uint32. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) | 0;
}

/** Ten rounds: key (key0, key1), counter (c0 .. c3), all taken modulo 2^32, to four uint32 in `out`. */
export function philox(
  key0: number,
  key1: number,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  out: Uint32Array,
): void {
  let [k0, k1, x0, x1, x2, x3] = [key0 | 0, key1 | 0, c0 | 0, c1 | 0, c2 | 0, c3 | 0];
  for (let round = 0; round < 10; round += 1) {
    const high0 = multiplyHigh(0xd2511f53, x0);
    const high1 = multiplyHigh(0xcd9e8d57, x2);
    const low0 = Math.imul(0xd2511f53, x0);
    const low1 = Math.imul(0xcd9e8d57, x2);
    x0 = high1 ^ x1 ^ k0;
    x1 = low1;
    x2 = high0 ^ x3 ^ k1;
    x3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

/** A word as a number in [0, 1) with 24 bits: exact in float32. */
export function uniform(word: number): number {
  return (word >>> 8) * 2 ** -24;
}
