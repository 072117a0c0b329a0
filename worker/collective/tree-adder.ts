// Adds the nodes of all workers in the fixed tree, float32 by float32. This one is plain TypeScript; lane-adder.ts does
// the same bits with the backend's kernel.

/** Adds equally long vectors in the tree of its schedule. */
export interface TreeAdder {
  /** out = the sources, in the tree's order. `out` overlaps no source. */
  add(out: Float32Array, sources: readonly Float32Array[]): void;
}

/** Adds left + right into out; all three equally long. Out may be left or right. */
export type AddTwo = (out: Float32Array, left: Float32Array, right: Float32Array) => void;

/** Floats added at once, so that what waits on the stack stays in the first cache. */
const blockFloats = 2048;

export function addTwo(out: Float32Array, left: Float32Array, right: Float32Array): void {
  const { length } = out;
  for (let i = 0; i < length; i++) out[i] = left[i]! + right[i]!;
}

/** Most vectors that wait on the stack; the tree over 2^31 shards is not deeper. */
const stackMax = 64;

export class BlockAdder implements TreeAdder {
  readonly #merges: readonly number[];
  readonly #addTwo: AddTwo;
  readonly #blockFloats: number;
  /** Where sums that wait lie, by their height on the stack. */
  readonly #waiting: readonly Float32Array[];
  readonly #stack: Float32Array[] = [];

  /** `scratch` makes the vectors in which sums wait. */
  constructor(
    merges: readonly number[],
    add: AddTwo = addTwo,
    block = blockFloats,
    scratch: (height: number) => Float32Array = () => new Float32Array(block),
  ) {
    this.#merges = merges;
    this.#addTwo = add;
    this.#blockFloats = block;
    this.#waiting = Array.from({ length: stackHeight(merges) }, (_, height) => scratch(height));
  }

  add(out: Float32Array, sources: readonly Float32Array[]): void {
    for (let from = 0; from < out.length; from += this.#blockFloats) {
      const to = Math.min(out.length, from + this.#blockFloats);
      this.#addBlock(out.subarray(from, to), sources, from, to);
    }
  }

  #addBlock(out: Float32Array, sources: readonly Float32Array[], from: number, to: number): void {
    const stack = this.#stack;
    stack.length = 0;
    const last = sources.length - 1;
    for (let node = 0; node <= last; node++) {
      stack.push(sources[node]!.subarray(from, to));
      for (let merges = this.#merges[node]!; merges > 0; merges--) {
        const right = stack.pop()!;
        const left = stack.pop()!;
        const isWhole = node === last && merges === 1;
        const sum = isWhole ? out : this.#waiting[stack.length]!.subarray(0, to - from);
        this.#addTwo(sum, left, right);
        stack.push(sum);
      }
    }
    const sum = stack[0];
    if (sum === undefined) out.fill(0);
    else if (sum !== out) out.set(sum);
  }
}

function stackHeight(merges: readonly number[]): number {
  let height = 0;
  let highest = 0;
  for (const count of merges) {
    height += 1;
    highest = Math.max(highest, height);
    height -= count;
  }
  return Math.min(highest, stackMax);
}
