// For chaos tests: what happens to the connections that go through a proxy, drawn from a seed. Pure: the same seed, the same
// weather; when a byte passes is the world's.

import { Random } from '../sim/clock.ts';

export const mishapKinds = ['flip', 'truncation', 'fragments', 'reset', 'pause'] as const;
export type MishapKind = (typeof mishapKinds)[number];

/** Something that happens once, to one direction of one connection. */
export interface Mishap {
  readonly kind: MishapKind;
  /** From the start of the weather, in milliseconds. */
  readonly atMs: number;
  /** Bytes that still pass in that direction before. */
  readonly afterBytes: number;
  /** Among the connections that are open then, modulo their number. */
  readonly connection: number;
  readonly towards: 'listener' | 'dialler';
  /** fragments: how many bytes are cut up; flip: which bit; pause: for how long, in milliseconds. */
  readonly amount: number;
}

/** What every byte of one direction meets. */
export interface Wire {
  /** Of one chunk; none overtakes another. */
  delayMs(): number;
  readonly bytesPerMs: number;
}

export const stillWire: Wire = { delayMs: () => 0, bytesPerMs: Infinity };

/** The n-th connection of a proxy, in one direction. */
export function wireOf(seed: number, proxy: number, connection: number, towardsListener: boolean): Wire {
  const random = new Random(
    seed + 7919 * (proxy + 1) + 104_729 * (connection + 1) + (towardsListener ? 1 : 0),
  );
  const leastMs = random.between(0, 4);
  const jitterMs = random.chance(0.5) ? random.between(0, 6) : 0;
  return {
    delayMs: () => leastMs + random.between(0, jitterMs),
    bytesPerMs: random.magnitude(1_000, 100_000),
  };
}

/** In the order of their time. `kinds`: those that may be, in turn. */
export function mishapsOf(seed: number, durationMs: number, kinds: readonly MishapKind[]): Mishap[] {
  const random = new Random(seed);
  const meanMs = random.magnitude(200, 700);
  const mishaps: Mishap[] = [];
  for (let atMs = 0; ; ) {
    atMs += -Math.log(1 - random.next()) * meanMs;
    if (atMs > durationMs) return mishaps;
    const kind = kinds[mishaps.length % kinds.length]!;
    mishaps.push({
      kind,
      atMs,
      afterBytes: Math.floor(random.magnitude(1, 3_000)),
      connection: random.below(2 ** 20),
      towards: random.chance(0.5) ? 'listener' : 'dialler',
      amount: amountOf(kind, random),
    });
  }
}

function amountOf(kind: MishapKind, random: Random): number {
  switch (kind) {
    case 'fragments':
      return Math.floor(random.magnitude(10, 2_000));
    case 'pause':
      return random.magnitude(20, 1_000);
    case 'flip':
      return random.below(8);
    default:
      return 0;
  }
}

/** Sizes of pieces that `bytes` bytes are cut into: 1 to 7 each. */
export function fragmentSizes(bytes: number, seed: number): number[] {
  const random = new Random(seed);
  const sizes: number[] = [];
  for (let left = bytes; left > 0; left -= sizes.at(-1)!) sizes.push(Math.min(left, 1 + random.below(7)));
  return sizes;
}
