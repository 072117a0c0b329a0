// Who cannot reach whom in one generation, and whom to leave out for it. For how long is exclusions.ts's to say. Pure.

/** From the first suspicion to the verdict, in milliseconds: time for the socket of a dead worker to say so itself. */
export const suspicionMs = 300;

export interface Suspicion {
  readonly by: number;
  readonly rank: number;
  readonly why: string;
  /** A connection that stood broke. */
  readonly broken: boolean;
}

export class Suspicions {
  #suspects: Suspicion[] = [];

  /** Whether it is the first, or new; what one said before of another is known. */
  add(suspicion: Suspicion): 'first' | 'new' | 'known' {
    const { by, rank, broken } = suspicion;
    const isKnown = this.#suspects.some(
      (each) => each.by === by && each.rank === rank && each.broken === broken,
    );
    if (isKnown) return 'known';
    this.#suspects.push(suspicion);
    return this.#suspects.length === 1 ? 'first' : 'new';
  }

  /** The only member that says so of this rank, which itself says nothing of the kind of that one; null where there is none. */
  soleWord(rank: number): number | null {
    const by = new Set(this.#suspects.filter((each) => each.rank === rank).map((each) => each.by));
    const [first] = by;
    const isMutual = this.#suspects.some((each) => each.by === rank && each.rank === first);
    return by.size === 1 && !isMutual ? first! : null;
  }

  /** A new generation: whoever is in it can be trusted again. */
  clear(): void {
    this.#suspects = [];
  }

  /** Of the rank to leave out, what was first said of it that no broken connection explains; null where nobody is suspected. */
  verdict(): Suspicion | null {
    const rank = mostSuspected(this.#suspects);
    const of = this.#suspects.filter((each) => each.rank === rank);
    return of.find(({ broken }) => !broken) ?? of[0] ?? null;
  }
}

/** Ranks to leave out, given who suspects whom: the one most suspected, of equals the highest rank. */
export function mostSuspected(
  suspects: readonly { readonly by: number; readonly rank: number }[],
): number | null {
  const votes = new Map<number, Set<number>>();
  for (const { by, rank } of suspects) votes.set(rank, (votes.get(rank) ?? new Set()).add(by));
  let most: number | null = null;
  for (const [rank, by] of votes) {
    const size = votes.get(most ?? -1)?.size ?? 0;
    if (by.size > size || (by.size === size && rank > (most ?? -1))) most = rank;
  }
  return most;
}
