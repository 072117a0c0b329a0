// A backend whose arenas are used again: thousands of small programs run without taking new memory for each.

import type { Arena, Backend } from '../../src/kernels/backend.ts';

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

  /** An arena of at least `size` elements, the first `size` of them zero. */
  createArena(size: number): Arena {
    const found = this.#pooled.find(({ arena, isFree }) => isFree && arena.ints.length >= size);
    if (found === undefined) {
      const arena = this.#backend.createArena(Math.ceil(1.25 * size));
      this.#pooled.push({ arena, isFree: false });
      return arena;
    }
    found.isFree = false;
    found.arena.ints.fill(0, 0, size);
    // The float64 reference alone keeps floats and ints apart.
    if (found.arena.floats instanceof Float64Array) found.arena.floats.fill(0, 0, size);
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
