// Whose word alone is believed against another member. Of one worker that alone complains of one other it is not known which of
// the two is bad, and the one that it complains of goes; one that alone complains of several is the bad one itself. Pure.

/** What one alone said of another is forgotten after this long, in milliseconds; where the other was kept out for it, later. */
export const complaintMs = { suspicion: 300_000, accusation: 3_600_000 } as const;

export class Credit {
  readonly #complaints = new Map<string, Set<string>>();

  /** `by` alone says it of `about`. False where it said so of others before. */
  believes(by: string, about: string): boolean {
    const all = this.#complaints.get(by) ?? new Set();
    this.#complaints.set(by, all.add(about));
    return all.size === 1;
  }

  /** Not the word of one alone any more. */
  confirms(by: string, about: string): void {
    for (const [other, all] of this.#complaints) if (other !== by) all.delete(about);
  }

  /** What was said of this worker is long ago. */
  forget(about: string): void {
    for (const all of this.#complaints.values()) all.delete(about);
  }
}
