// Parts of others' swaps that came before the own part, counted from outside of the machine that holds them.

export class EarlySwaps {
  /** [rank]: bytes by swap. */
  readonly #parts: readonly Map<string, number>[];
  /** By id. */
  readonly #newestBegun = [0, 0];

  constructor(size: number) {
    this.#parts = Array.from({ length: size }, () => new Map());
  }

  begin(step: number, id: number): void {
    this.#newestBegun[id] = step;
    for (const parts of this.#parts) parts.delete(`${step}.${id}`);
  }

  /** What waits of this rank now. */
  came(
    rank: number,
    step: number,
    id: number,
    bytes: number,
  ): { readonly parts: number; readonly bytes: number } {
    const parts = this.#parts[rank]!;
    if (step > this.#newestBegun[id]!) parts.set(`${step}.${id}`, bytes);
    return { parts: parts.size, bytes: [...parts.values()].reduce((sum, each) => sum + each, 0) };
  }
}
