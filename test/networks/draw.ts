// What the generators of random networks draw with: a stream of random numbers from a seed, and sizes that favour 1 and
// the edges of the kernels' blocks. The same seed draws the same network on every machine.

import { RandomStream } from '../../src/data/random-stream.ts';

/** 1, and one below, at and above the widths of vectors, tiles and panels. */
const edgeSizes = [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 28, 31, 32, 33, 64, 65];

export class Draw {
  readonly #stream: RandomStream;

  constructor(seed: number, part = 0) {
    this.#stream = new RandomStream(seed, part);
  }

  /** low, low + 1, ... or high. */
  integer(low: number, high: number): number {
    return low + this.#stream.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.#stream.chance(probability);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.#stream.below(values.length)]!;
  }

  /** A value by weight. */
  weighted<T>(rows: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.between(
      0,
      rows.reduce((sum, [weight]) => sum + weight, 0),
    );
    for (const [weight, value] of rows) {
      left -= weight;
      if (left < 0) return value;
    }
    return rows.at(-1)![1];
  }

  /** A size of at most `most`: often 1, often at the edge of a block. */
  size(most: number): number {
    const edges = edgeSizes.filter((size) => size <= most);
    return this.chance(0.8) ? this.pick(edges) : this.integer(1, most);
  }

  between(low: number, high: number): number {
    return this.#stream.between(low, high);
  }

  /** A uint32. */
  word(): number {
    return this.#stream.word();
  }

  /** The values in a random order (Fisher and Yates). */
  shuffled<T>(values: readonly T[]): T[] {
    const order = [...values];
    for (let i = order.length - 1; i > 0; i -= 1) {
      const j = this.integer(0, i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
