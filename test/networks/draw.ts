// What the generators of random networks draw with. Sizes come from the generator that also draws the shapes of the kernels'
// battery: often 1, often beside the edge of a block. The same seed draws the same network on every machine.

import { Draw as ShapeDraw } from '../../src/kernels/battery-draw.ts';

export class Draw {
  readonly #draw: ShapeDraw;

  /** `part` keeps the streams of one seed apart: the network, its data, its worlds. */
  constructor(seed: number, part = 0) {
    this.#draw = new ShapeDraw(seed, part);
  }

  /** low, low + 1, ... or high. */
  integer(low: number, high: number): number {
    return this.#draw.between(low, high);
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }

  pick<T>(values: readonly T[]): T {
    return this.#draw.pick(values);
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

  /** A size of at most `most`. */
  size(most: number): number {
    return this.#draw.size(most);
  }

  /** A real number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.#draw.below(2 ** 24) * 2 ** -24;
  }

  /** A uint32. */
  word(): number {
    return this.#draw.below(2 ** 32);
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
