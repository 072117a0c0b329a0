// Members' claims that the model has gone bad: a step whose loss or gradient is not finite, or the state after one. Every
// member comes to the same claim by itself, and the run ends when all of them have, so that the order in which claims arrive
// changes nothing. One worker alone may compute wrongly. Pure.

export interface Claim {
  readonly workerId: string;
  /** In the membership of the claim. */
  readonly rank: number;
  readonly step: number;
  readonly phase: string;
  readonly message: string;
}

export class Claims {
  readonly #claims = new Map<string, Claim>();

  /** The first claim of a worker stands: what fails in it afterwards has the same cause. */
  add(claim: Claim): void {
    if (!this.#claims.has(claim.workerId)) this.#claims.set(claim.workerId, claim);
  }

  /** Of the newest step that is in question, the claim of the lowest rank; null where there is none. */
  get first(): Claim | null {
    return this.#newest.reduce<Claim | null>(
      (first, each) => (first === null || each.rank < first.rank ? each : first),
      null,
    );
  }

  /** Two workers say so of the same step. */
  get isConfirmed(): boolean {
    return this.#newest.length > 1;
  }

  /** The state after `step` is finite. Forgets the claims about steps up to there; returns the workers that made them. */
  refutedBy(step: number): string[] {
    const refuted = [...this.#claims.values()].filter((claim) => claim.step <= step);
    for (const { workerId } of refuted) this.#claims.delete(workerId);
    return refuted.map(({ workerId }) => workerId);
  }

  /** A claim about an earlier step, after which the run went on, confirms nothing. */
  get #newest(): Claim[] {
    const claims = [...this.#claims.values()];
    const newest = Math.max(...claims.map(({ step }) => step));
    return claims.filter(({ step }) => step === newest);
  }
}
