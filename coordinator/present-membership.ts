// The newest membership: who is in it, and how far its forming has come. It remembers and tells; when a membership is formed,
// and what follows when it stands, is the machine's. Pure.

import type { CoordinatorEffect, Timer, ToWorker } from './effects.ts';
import { type Alignment, alignmentIfKnown, formation, formingMs, lateToForm } from './membership.ts';
import type { Progress } from './progress.ts';
import { type Numerics, numericsOf } from './run-identity.ts';
import { sendAlignment, sendTo } from './tell.ts';
import type { RunFacts, Worker } from './worker-record.ts';

export class PresentMembership {
  readonly #facts: RunFacts;
  readonly #progress: Progress;
  #generation: number;
  #members: readonly Worker[] = [];
  #numerics: Numerics | null;
  /** Where the members were told to go on; null until they were. */
  #alignment: Alignment | null = null;
  /** So often the time to form was over. */
  #timesLate = 0;
  #isAlone = false;

  constructor(facts: RunFacts, progress: Progress) {
    this.#facts = facts;
    this.#progress = progress;
    this.#generation = facts.generation;
    this.#numerics = facts.numerics;
  }

  get generation(): number {
    return this.#generation;
  }

  /** In rank order; nobody while the run pauses. */
  get members(): readonly Worker[] {
    return this.#members;
  }

  /** Of the run, from its first membership on: nobody with others is let in, whoever is here or not. */
  get numerics(): Numerics | null {
    return this.#numerics;
  }

  /** Each member computes all shards itself, from the newest checkpoint on. */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** The step after which the members went on; null until they were told. */
  get startStep(): number | null {
    return this.#alignment?.step ?? null;
  }

  get isReady(): boolean {
    return this.#members.every(({ ready }) => ready);
  }

  has(worker: Worker): boolean {
    return this.#members.includes(worker);
  }

  tell(message: ToWorker): CoordinatorEffect[] {
    return sendTo(this.#members, message);
  }

  /** The next generation. `replayTo`: it computes again up to there; null: it goes on. */
  form(members: readonly Worker[], reason: string, replayTo: number | null): CoordinatorEffect[] {
    this.#isAlone = replayTo !== null;
    this.#alignment = null;
    this.#timesLate = 0;
    this.#generation += 1;
    this.#members = members;
    // Rank 0 speaks for all where each has all shards.
    this.#progress.formed(this.#isAlone ? 1 : members.length);
    for (const member of members) {
      member.memberOf = this.#generation;
      member.standing = undefined;
      member.ready = false;
      member.finished = null;
    }
    const first = this.#numerics === null ? numericsOf(members[0]!.hello!) : null;
    this.#numerics ??= first;
    return formation(this.#generation, members, this.#facts, reason, { numerics: first, replayTo });
  }

  /** The run pauses. */
  dissolve(): void {
    this.#members = [];
  }

  /** The time to form is over: those who keep it from that. */
  late(): Worker[] {
    this.#timesLate += 1;
    return lateToForm(this.#members, this.#alignment, this.#timesLate > 1);
  }

  /** All are as late as each other, and have the same time once more. */
  waitsOn(timer: Timer): CoordinatorEffect[] {
    const message = `generation ${this.#generation} takes long to form, with all of its workers`;
    return [
      { do: 'notice', message },
      { do: 'setTimer', timer, ms: formingMs },
    ];
  }

  /** The others have as long, where each computes alone and nobody else would notice that one does not come to its end. */
  firstFinished(): CoordinatorEffect[] {
    const isFirst = this.#members.every(({ finished }) => finished === null);
    const timer = { kind: 'replaying', generation: this.#generation } as const;
    return this.#isAlone && isFirst ? [{ do: 'setTimer', timer, ms: formingMs }] : [];
  }

  /** Tells the members where they go on, once all have told their standing. */
  alignIfAll(verifies: (step: number) => boolean): CoordinatorEffect[] {
    const goesBack = this.#isAlone;
    const alignment =
      this.#alignment !== null ? null : alignmentIfKnown(this.#members, this.#progress, goesBack);
    if (alignment === null) return [];
    this.#alignment = alignment;
    const { step, reason } = alignment;
    if (goesBack) this.#progress.wentBack(step);
    this.#progress.aligned(step);
    const verify = verifies(step + 1);
    const more = { ...this.#progress.owedAfter(step), verify };
    return [
      { do: 'aligned', step, reason, goesBack },
      ...sendAlignment(alignment, this.#members, this.#generation, more),
    ];
  }
}
