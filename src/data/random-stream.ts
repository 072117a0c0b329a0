// A stream of random numbers for making data: words of Philox under the purpose `data`. Pure; sums and products only, so
// that every machine makes the same data.

import { philox, randomPurposes, uniform } from '../numerics/philox.ts';

export class RandomStream {
  readonly #seed: number;
  readonly #part: number;
  readonly #words = new Uint32Array(4);
  #item = 0;
  #block = 0;
  #used = 4;

  /** `part` keeps streams of one seed apart: training and held-out samples, say. */
  constructor(seed: number, part: number) {
    this.#seed = seed;
    this.#part = part;
  }

  /** Goes to the start of item `item`: what follows depends on (seed, part, item) alone. */
  seek(item: number): void {
    this.#item = item;
    this.#block = 0;
    this.#used = 4;
  }

  word(): number {
    if (this.#used === 4) {
      philox(this.#seed, randomPurposes.data, this.#item, this.#part, 0, this.#block, this.#words);
      this.#block += 1;
      this.#used = 0;
    }
    const word = this.#words[this.#used]!;
    this.#used += 1;
    return word;
  }

  /** In [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * uniform(this.word());
  }

  /** One of 0 .. count-1. */
  below(count: number): number {
    return Math.floor(uniform(this.word()) * count);
  }

  chance(probability: number): boolean {
    return uniform(this.word()) < probability;
  }
}
