// How far the run has come as its coordinator knows: steps that were told, evaluations, the newest checkpoint. What is
// computed again is not told again. Pure.

import type { MessageOf } from '../proto/messages.ts';
import type { CoordinatorEffect } from './effects.ts';
import { MemberResults } from './results.ts';
import type { RunFacts } from './worker-record.ts';

/** Something is wrong with it, or it is news, or it was told before. */
export type Judged = { readonly problem: string } | { readonly news: CoordinatorEffect[] };

const nothingNew: Judged = { news: [] };

export class Progress {
  readonly #facts: RunFacts;
  #checkpointStep: number | null;
  /** Of the newest snapshot that is whole: on disk, or on its way there. */
  #wholeStep = 0;
  #reported: number;
  #evaluated: number;
  #results: MemberResults;

  constructor(facts: RunFacts) {
    this.#facts = facts;
    this.#checkpointStep = facts.checkpointStep;
    this.#reported = facts.checkpointStep ?? 0;
    this.#evaluated = facts.checkpointStep ?? 0;
    this.#results = new MemberResults(facts, 0);
  }

  /** Null where there is none. */
  get checkpointStep(): number | null {
    return this.#checkpointStep;
  }

  /** A generation of so many members begins. */
  formed(members: number): void {
    this.#results = new MemberResults(this.#facts, members);
  }

  snapshotWhole(step: number): void {
    this.#wholeStep = Math.max(step, this.#wholeStep);
  }

  /** Something newer than `step`, and than all that is on disk, is on its way there: nobody goes on behind it. */
  writesNewerThan(step: number): boolean {
    return this.#wholeStep > Math.max(step, this.#checkpointStep ?? 0);
  }

  /** It is not lost when all workers go. */
  isOnDisk(step: number): boolean {
    return (this.#checkpointStep ?? 0) >= step;
  }

  checkpointed(step: number): void {
    this.#checkpointStep = Math.max(step, this.#checkpointStep ?? 0);
  }

  /** What is due after `step` and was not done. */
  owedAfter(step: number): { readonly evaluate: boolean; readonly snapshot: boolean } {
    const { evaluateAfter, checkpointAfter } = this.#facts;
    const evaluate = evaluateAfter(step) && this.#evaluated < step;
    // A checkpoint that went without its evaluation is written again, with it.
    const snapshot = checkpointAfter(step) && ((this.#checkpointStep ?? 0) < step || evaluate);
    return { evaluate, snapshot };
  }

  /** What a member of this rank says of a step. */
  result(rank: number, result: MessageOf<'report'> | MessageOf<'evaluation'>): Judged {
    return result.type === 'report' ? this.#report(rank, result) : this.#evaluation(rank, result);
  }

  /** Rank 0 speaks for all; the sums of every shard are there. */
  #report(rank: number, report: MessageOf<'report'>): Judged {
    if (rank !== 0 || report.step <= this.#reported) return nothingNew;
    const problem = this.#results.problemOfReport(report);
    if (problem !== null) return { problem };
    this.#reported = report.step;
    return { news: [{ do: 'stepReport', report }] };
  }

  /** The news are the parts of all ranks, once the last is here. */
  #evaluation(rank: number, part: MessageOf<'evaluation'>): Judged {
    const problem = this.#results.problemOfPart(rank, part);
    if (problem !== null) return { problem };
    const parts = this.#results.add(rank, part);
    if (parts === null || part.step <= this.#evaluated) return nothingNew;
    this.#evaluated = part.step;
    return { news: [{ do: 'evaluation', step: part.step, parts }] };
  }
}
