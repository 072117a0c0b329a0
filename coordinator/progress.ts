// How far the run has come as its coordinator knows: steps that were told, evaluations, the newest checkpoint. What is
// computed again is not told again. Pure.

import type { MessageOf } from '../proto/messages.ts';
import type { ConnectionId, CoordinatorEffect } from './effects.ts';
import { MemberResults } from './results.ts';
import type { RunFacts, Worker } from './worker-record.ts';

export type StepResult = MessageOf<'report' | 'evaluation' | 'statePiece' | 'finished'>;

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

  /** Its members go on from there. */
  aligned(step: number): void {
    this.#results.aligned(step);
  }

  /** The run went on from an earlier step: what was told of later ones may be wrong. */
  wentBack(step: number): void {
    this.#reported = step;
    this.#evaluated = step;
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
  result(rank: number, { connection, finished }: Worker, result: StepResult): Judged {
    switch (result.type) {
      case 'report':
        return this.#report(rank, result);
      case 'evaluation':
        return this.#evaluation(rank, result);
      case 'statePiece':
        return this.#piece(rank, result, connection);
      case 'finished':
        return this.#end(finished, result);
      default:
        return result satisfies never;
    }
  }

  #report(rank: number, report: MessageOf<'report'>): Judged {
    const judged = this.#results.report(rank, report);
    if (typeof judged !== 'string') return judged;
    if (judged === 'known' || report.step <= this.#reported) return nothingNew;
    this.#reported = report.step;
    return { news: [{ do: 'stepReport', report }] };
  }

  /** The news are the parts of all ranks, once the last is here. */
  #evaluation(rank: number, part: MessageOf<'evaluation'>): Judged {
    const judged = this.#results.evaluation(rank, part);
    if (typeof judged !== 'string') return judged;
    const parts = judged === 'known' ? null : this.#results.add(rank, part);
    if (parts === null || part.step <= this.#evaluated) return nothingNew;
    this.#evaluated = part.step;
    return { news: [{ do: 'evaluation', step: part.step, parts }] };
  }

  /** A piece of a snapshot, which goes on to the disk. */
  #piece(rank: number, piece: MessageOf<'statePiece'>, connection: ConnectionId): Judged {
    const problem = this.#results.problemOfSnapshot(rank, piece.step);
    return problem === null ? { news: [{ do: 'statePiece', connection, piece }] } : { problem };
  }

  /** It has come to the end of its steps. */
  #end(before: Worker['finished'], { step, weightsSha256 }: MessageOf<'finished'>): Judged {
    const isOther = before !== null && (before.step !== step || before.weightsSha256 !== weightsSha256);
    const problem = isOther ? 'it came to two unlike ends' : this.#results.problemOfEnd(step);
    return problem === null ? nothingNew : { problem };
  }
}
