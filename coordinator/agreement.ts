// Whether the members of a generation have the same state: each tells a digest of its own after some steps. Pure; what follows
// from a difference is the machine's to say.

/** What the digests of one step show so far. */
export type Comparison =
  /** Some are missing, and those that are here are equal. */
  | { readonly is: 'open' }
  | { readonly is: 'agreed' }
  /** `odd`: ranks that a strict majority contradicts; empty where there is no such majority, null until all are here. */
  | { readonly is: 'different'; readonly odd: readonly number[] | null }
  /** The member told another digest of this step before. */
  | { readonly is: 'unlike' };

type Digest = number | string;

/** Digests of so many steps are compared at a time: members are within a few steps of each other, unless they compute alone. */
const stepsMax = 4_096;

export class Agreement {
  readonly #members: number;
  /** By step, by rank. */
  readonly #told = new Map<number, Map<number, Digest>>();

  constructor(members: number) {
    this.#members = members;
  }

  tell(rank: number, step: number, digest: Digest): Comparison {
    const told = this.#told.get(step) ?? new Map<number, Digest>();
    const before = told.get(rank);
    if (before !== undefined && before !== digest) return { is: 'unlike' };
    this.#told.set(step, told.set(rank, digest));
    const [oldest] = this.#told.keys();
    if (this.#told.size > stepsMax) this.#told.delete(oldest!);
    return this.#compare(told);
  }

  /** What this member told of the state after `step`. */
  digestOf(rank: number, step: number): Digest | undefined {
    return this.#told.get(step)?.get(rank);
  }

  isAgreed(step: number): boolean {
    const told = this.#told.get(step);
    return told !== undefined && this.#compare(told).is === 'agreed';
  }

  #compare(told: ReadonlyMap<number, Digest>): Comparison {
    const isWhole = told.size === this.#members;
    if (new Set(told.values()).size === 1) return { is: isWhole ? 'agreed' : 'open' };
    return { is: 'different', odd: isWhole ? this.#oddOf(told) : null };
  }

  #oddOf(told: ReadonlyMap<number, Digest>): readonly number[] {
    const votes = new Map<Digest, number>();
    for (const digest of told.values()) votes.set(digest, (votes.get(digest) ?? 0) + 1);
    const majority = [...votes].find(([, count]) => 2 * count > this.#members);
    if (majority === undefined) return [];
    return [...told].filter(([, digest]) => digest !== majority[0]).map(([rank]) => rank);
  }
}
