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

/**
 * What one member told of so many steps is remembered, and the oldest of its own forgotten first: a worker that tells digests
 * without end takes nobody else's place. Members are within a few steps of each other, unless they compute alone.
 */
const stepsMax = 4_096;

export class Agreement {
  /** By rank, by step. */
  readonly #told: readonly Map<number, Digest>[];

  constructor(members: number) {
    this.#told = Array.from({ length: members }, () => new Map<number, Digest>());
  }

  tell(rank: number, step: number, digest: Digest): Comparison {
    const told = this.#told[rank]!;
    if ((told.get(step) ?? digest) !== digest) return { is: 'unlike' };
    told.set(step, digest);
    const [oldest] = told.keys();
    if (told.size > stepsMax) told.delete(oldest!);
    return this.#compare(step);
  }

  /** What this member told of the state after `step`. */
  digestOf(rank: number, step: number): Digest | undefined {
    return this.#told[rank]?.get(step);
  }

  isAgreed(step: number): boolean {
    return this.#compare(step).is === 'agreed';
  }

  #compare(step: number): Comparison {
    const digests = this.#told.map((each) => each.get(step));
    const known = digests.filter((each) => each !== undefined);
    const isWhole = known.length === digests.length;
    if (new Set(known).size > 1) return { is: 'different', odd: isWhole ? oddOf(known) : null };
    return { is: isWhole && known.length > 0 ? 'agreed' : 'open' };
  }
}

/** Ranks that a strict majority contradicts. */
function oddOf(digests: readonly Digest[]): readonly number[] {
  const count = (digest: Digest): number => digests.filter((each) => each === digest).length;
  const majority = digests.find((digest) => 2 * count(digest) > digests.length);
  return digests.flatMap((digest, rank) => (majority === undefined || digest === majority ? [] : [rank]));
}
