// The newest membership: who is in it, and how far its forming has come. It remembers and tells; when a membership is formed,
// and what follows when it stands, is the machine's. Pure.

import type { Blame } from './blame.ts';
import type { CoordinatorEffect, ToWorker } from './effects.ts';
import { type Alignment, alignmentIfKnown, formation, lateToForm } from './membership.ts';
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
  /** workerIds of the newest membership that was formed and of the one before, in rank order. */
  #formed: readonly { readonly generation: number; readonly workerIds: readonly string[] }[] = [];
  /** Where the members were told to go on; null until they were. */
  #alignment: Alignment | null = null;
  /** So often the time to form was over. */
  #timesLate = 0;

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

  get isReady(): boolean {
    return this.#members.every(({ ready }) => ready);
  }

  has(worker: Worker): boolean {
    return this.#members.includes(worker);
  }

  /** Whom another member of this generation, which may just be over, means by this rank. */
  meantBy(by: string, generation: number, rank: number): string | undefined {
    const formed = this.#formed.find((each) => each.generation === generation);
    return formed?.workerIds.includes(by) ? formed.workerIds[rank] : undefined;
  }

  tell(message: ToWorker): CoordinatorEffect[] {
    return sendTo(this.#members, message);
  }

  /** The next generation. */
  form(members: readonly Worker[], reason: string): CoordinatorEffect[] {
    this.#alignment = null;
    this.#timesLate = 0;
    this.#generation += 1;
    this.#members = members;
    const workerIds = members.map(({ hello }) => hello!.workerId);
    this.#formed = [{ generation: this.#generation, workerIds }, ...this.#formed.slice(0, 1)];
    this.#progress.formed(members.length);
    for (const member of members) {
      member.memberOf = this.#generation;
      member.standing = undefined;
      member.ready = false;
      member.finished = null;
    }
    const first = this.#numerics === null ? numericsOf(members[0]!.hello!) : null;
    this.#numerics ??= first;
    return formation(this.#generation, members, this.#facts, reason, first);
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

  /** Tells the members where they go on, once all have told their standing. */
  alignIfAll(blame: Blame): CoordinatorEffect[] {
    const alignment = this.#alignment !== null ? null : alignmentIfKnown(this.#members, this.#progress);
    if (alignment === null) return [];
    this.#alignment = alignment;
    const { step, reason } = alignment;
    this.#progress.aligned(step);
    const verify = blame.verifies(step + 1, this.#generation);
    const more = { ...this.#progress.owedAfter(step), verify };
    return [
      { do: 'aligned', step, reason },
      ...sendAlignment(alignment, this.#members, this.#generation, more),
    ];
  }
}
