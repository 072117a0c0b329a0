// The one generator of shapes: of the battery's cases and of random networks in tests. Sizes are small, often 1, and often
// beside an edge at which a kernel changes its way: a vector, a tile, a panel, a block. Pure: the same (seed, stream) draws
// the same shapes on every machine.

import { philox } from '../numerics/philox.ts';
import { type NamedLayout, stepLayout } from './battery-case.ts';

/** Apart from the purposes of a run's own streams (numerics/philox.ts). */
const purpose = 0x5a4e;

/** Vectors of 4, 8 and 16; tiles of 4, 6, 10 and 14 rows by 8, 16 and 32 columns; blocks of 64 terms; panels and blocks of pixels
    of 128 and 256; channels of which coefficients lie on the stack; blocks of the gradient's norm. */
const edges = [4, 6, 8, 10, 14, 16, 28, 32, 48, 64, 128, 256, 512, 4096] as const;

/** Window of a convolution or a pooling over an image. Padding: top, bottom, left, right. */
export interface WindowShape {
  readonly image: readonly [height: number, width: number, channels: number];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [top: number, bottom: number, left: number, right: number];
}

export class Draw {
  readonly #seed: number;
  readonly #stream: readonly [number, number];
  readonly #layouts: readonly NamedLayout[] | null;
  readonly #words = new Uint32Array(4);
  #count = 0;

  /** `layouts`: those to pick from, where new ones would take too long. */
  constructor(seed: number, stream: number, substream = 0, layouts: readonly NamedLayout[] | null = null) {
    this.#seed = seed;
    this.#stream = [stream, substream];
    this.#layouts = layouts;
  }

  /** A whole number in 0 .. count-1. */
  below(count: number): number {
    if (this.#count % 4 === 0) philox(this.#seed, purpose, ...this.#stream, 0, this.#count / 4, this.#words);
    const word = this.#words[this.#count++ % 4]!;
    return Math.floor(word * 2 ** -32 * count);
  }

  /** A whole number in from .. to. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** A size in 1 .. most: often 1, often an edge or beside one, else anything. */
  size(most: number): number {
    const way = this.below(8);
    if (way < 2) return 1;
    if (way < 6) {
      let count = edges.length;
      while (count > 0 && edges[count - 1]! > most + 1) count -= 1;
      if (count > 0) return Math.min(most, edges[this.below(count)]! + this.between(-1, 1));
    }
    return this.between(1, most);
  }

  /** The rows and shards of a worker: of one sample, with empty shards, with none, among peers. */
  layout(samplesMax: number): NamedLayout {
    if (this.#layouts !== null) return this.pick(this.#layouts);
    const shards = this.once(4) ? 1 : this.between(1, 12);
    const batch = this.once(6) ? this.between(1, 2) : this.size(samplesMax);
    const cuts = Array.from({ length: this.pick([0, 0, 1, 2]) }, () => this.between(0, shards));
    const boundaries = [0, ...cuts.sort((a, b) => a - b), shards];
    const worker = this.below(boundaries.length - 1);
    const name = `${batch} rows in ${shards} shards, worker ${worker} of ${boundaries.join(' ')},`;
    return { name, layout: stepLayout(batch, shards, boundaries, worker) };
  }

  /**
   * A window of at least one output: larger than the image or all of it, strides above the kernel, padding on each side alone.
   * `covered`: no window may lie in the padding alone (pooling).
   */
  window(sidesMax: readonly [number, number], channelsMax: number, covered = false): WindowShape {
    const isPoint = this.once(5);
    const axis = (
      sideMax: number,
    ): { side: number; kernel: number; stride: number; before: number; after: number } => {
      const kernel = this.once(8) ? this.between(1, sideMax) : this.between(1, 5);
      const side = isPoint ? 1 : this.size(sideMax);
      const most = covered ? kernel - 1 : kernel + 1;
      const before = this.once(2) ? 0 : this.between(0, most);
      const short = Math.max(0, kernel - side - before);
      const after = Math.max(short, this.once(2) ? 0 : this.between(0, most));
      return { side, kernel, stride: this.once(2) ? 1 : this.between(1, kernel + 2), before, after };
    };
    const fits = (sideMax: number): ReturnType<typeof axis> => {
      for (;;) {
        const drawn = axis(sideMax);
        if (!covered || (drawn.before < drawn.kernel && drawn.after < drawn.kernel)) return drawn;
      }
    };
    const [high, wide] = [fits(sidesMax[0]), fits(sidesMax[1])];
    return {
      image: [high.side, wide.side, this.size(channelsMax)],
      kernel: [high.kernel, wide.kernel],
      stride: [high.stride, wide.stride],
      padding: [high.before, high.after, wide.before, wide.after],
    };
  }
}

/** Outputs of a window along the image's height and width. */
export function windowOutputs({ image, kernel, stride, padding }: WindowShape): [number, number] {
  const [top, bottom, left, right] = padding;
  return [
    Math.floor((image[0] + top + bottom - kernel[0]) / stride[0]) + 1,
    Math.floor((image[1] + left + right - kernel[1]) / stride[1]) + 1,
  ];
}
