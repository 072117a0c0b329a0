// A backend whose arenas are used again: thousands of small programs run without taking new memory for each.

import { assert } from '../../src/errors.ts';
import type { Arena, Backend } from '../../src/kernels/backend.ts';
import { scratchFloats } from '../../src/kernels/scratch.ts';

/** What is scratch in every program's arena, wherever its scratch begins: no kernel reads what it did not write there. */
const firstScratch = { from: 65_536, to: scratchFloats };

interface Pooled {
  readonly arena: Arena;
  isFree: boolean;
}

export class ArenaPool implements Backend {
  readonly name: Backend['name'];
  readonly variant: string;
  readonly #backend: Backend;
  readonly #pooled: Pooled[] = [];

  constructor(backend: Backend) {
    this.name = backend.name;
    this.variant = backend.variant;
    this.#backend = backend;
  }

  /** An arena of at least `size` elements, the first `size` of them zero, but for scratch. */
  createArena(size: number): Arena {
    const found = this.#pooled.find(({ arena, isFree }) => isFree && arena.ints.length >= size);
    if (found === undefined) {
      const arena = this.#backend.createArena(Math.ceil(1.25 * size));
      this.#pooled.push({ arena, isFree: false });
      return arena;
    }
    found.isFree = false;
    const { ints, floats } = found.arena;
    const [, offset = 0, scratch = 0] = ints;
    assert(
      offset <= firstScratch.from && scratch >= scratchFloats,
      'the first scratch lies where it is expected',
    );
    // The float64 reference alone keeps floats and ints apart.
    for (const memory of floats instanceof Float64Array ? [ints, floats] : [ints]) {
      memory.fill(0, 0, firstScratch.from);
      memory.fill(0, firstScratch.to, size);
    }
    return found.arena;
  }

  attach(...args: Parameters<Backend['attach']>): ReturnType<Backend['attach']> {
    return this.#backend.attach(...args);
  }

  /** Takes all arenas back. */
  recycle(): void {
    for (const pooled of this.#pooled) pooled.isFree = true;
  }
}
