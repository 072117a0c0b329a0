// What the members of one generation say of its steps: held against the plan and against what they said before, and the parts
// of an evaluation put together. Pure.

import type { MessageOf } from '../proto/messages.ts';
import { shardBoundaries } from '../src/numerics/tree.ts';
import type { RunFacts, Worker } from './worker-record.ts';

type Part = MessageOf<'evaluation'>;

/** What one member says of a step: news, a second copy, or something that cannot be, in words. */
export type Judgement = 'new' | 'known' | { readonly problem: string };

/** Copies of what was said are held against it over so many of the newest steps that one member spoke of. */
const remembered = 8;

/** Evaluations of which parts are missing. Members are within a step of each other, and their words within seconds. */
const openEvaluationsMax = 1_024;

/** One member's words of one kind, about steps that only rise. */
class Told {
  readonly #sums = new Map<number, Uint8Array>();
  #newest: number | null = null;

  judge(step: number, sums: Uint8Array): 'new' | 'known' | 'unlike' | 'replayed' {
    const before = this.#sums.get(step);
    if (before !== undefined) {
      return before.length === sums.length && before.every((byte, i) => byte === sums[i])
        ? 'known'
        : 'unlike';
    }
    return this.#newest !== null && step < this.#newest ? 'replayed' : 'new';
  }

  add(step: number, sums: Uint8Array): void {
    this.#newest = step;
    this.#sums.set(step, sums);
    const [oldest] = this.#sums.keys();
    if (this.#sums.size > remembered) this.#sums.delete(oldest!);
  }
}

export class MemberResults {
  readonly #facts: RunFacts;
  readonly #boundaries: readonly number[];
  /** Of the steps of rank 0, and of the evaluations of each rank. */
  readonly #reports = new Told();
  readonly #evaluations: readonly Told[];
  /** By step, by rank. */
  readonly #parts = new Map<number, Map<number, Part>>();
  /** Where the members went on; no step is taken before that is told. */
  #startStep: number | null = null;
  /** The newest that rank 0 told. */
  #step = 0;

  constructor(facts: RunFacts, members: number) {
    this.#facts = facts;
    this.#boundaries = shardBoundaries(Math.max(1, members), facts.shards);
    this.#evaluations = Array.from({ length: members }, () => new Told());
  }

  aligned(step: number): void {
    this.#startStep = step;
    this.#step = step;
  }

  /** Rank 0 speaks for all, of one step after another. */
  report(rank: number, { step, sums }: MessageOf<'report'>): Judgement {
    const { shards, reports, endStep } = this.#facts;
    if (sums.length !== shards * reports * 4) return { problem: 'it sent a report of a wrong size' };
    if (rank !== 0) return { problem: "it sent a report, which is rank 0's to do" };
    const judged = this.#reports.judge(step, sums);
    if (judged === 'known') return judged;
    if (judged === 'unlike') return { problem: `it sent two unlike reports of step ${step}` };
    if (this.#startStep === null || step !== this.#step + 1 || step > endStep) {
      return { problem: `it sent a report of step ${step} after step ${this.#step} of ${endStep}` };
    }
    this.#step = step;
    this.#reports.add(step, sums);
    return 'new';
  }

  evaluation(rank: number, part: Part): Judgement {
    const { step, firstShard, sums } = part;
    const { reports, evaluationBatches } = this.#facts;
    const first = this.#boundaries[rank]!;
    const own = this.#boundaries[rank + 1]! - first;
    if (firstShard !== first || sums.length !== evaluationBatches * own * reports * 4) {
      return { problem: 'it sent an evaluation of other shards' };
    }
    const judged = this.#evaluations[rank]!.judge(step, sums);
    if (judged === 'known') return judged;
    if (judged === 'unlike') return { problem: `it sent two unlike evaluations of step ${step}` };
    if (judged === 'replayed' || !this.#isEvaluated(step)) {
      return { problem: `it sent an evaluation of step ${step}, which is not due` };
    }
    const isAhead = !this.#parts.has(step) && this.#parts.size >= openEvaluationsMax;
    if (isAhead && step > this.#step) return { problem: `it sent an evaluation of step ${step}, far ahead` };
    this.#evaluations[rank]!.add(step, sums);
    // So many wait for a member that says nothing: nobody's fault who does.
    return isAhead ? 'known' : 'new';
  }

  /** All parts in rank order, once the last is here. */
  add(rank: number, part: Part): readonly Part[] | null {
    const parts = this.#parts.get(part.step) ?? new Map<number, Part>();
    this.#parts.set(part.step, parts.set(rank, part));
    if (parts.size < this.#boundaries.length - 1) return null;
    this.#parts.delete(part.step);
    return Array.from({ length: parts.size }, (_, each) => parts.get(each)!);
  }

  /**
   * What is wrong with a snapshot of `step`; null where nothing is. Off the cadence steps end where a member is asked to leave,
   * and then there are no more.
   */
  problemOfSnapshot(rank: number, step: number): string | null {
    if (rank !== 0) return "it sent a snapshot, which is rank 0's to do";
    const isReached = this.#startStep !== null && step >= this.#startStep && step <= this.#step;
    const isDue = step === this.#step || this.#facts.checkpointAfter(step);
    return isReached && isDue
      ? null
      : `it sent a snapshot of step ${step}, where the run is at step ${this.#step}`;
  }

  /** What is wrong with having come to the end of all steps at `step`. */
  problemOfEnd(step: number): string | null {
    const end = Math.max(this.#facts.endStep, this.#startStep ?? 0);
    const isBetween = this.#startStep !== null && step >= this.#startStep && step <= end;
    return isBetween ? null : `it came to the end at step ${step}, where the run ends at step ${end}`;
  }

  #isEvaluated(step: number): boolean {
    const { endStep, evaluateAfter } = this.#facts;
    if (this.#startStep === null || step < this.#startStep) return false;
    return step <= Math.max(endStep, this.#startStep) && evaluateAfter(step);
  }
}

/** What it means that members have come to the end of their steps. */
export type Ending =
  | { readonly is: 'notYet' }
  /** The last worker leaves, and the state that it handed over is a checkpoint on disk. */
  | { readonly is: 'handedOver' }
  /** The others came to the end of their steps; this one claims that a step has gone bad. */
  | { readonly is: 'claimedAlone'; readonly worker: Worker }
  /** Nobody was told to end here: a member said so to the others. */
  | { readonly is: 'tooEarly'; readonly step: number }
  | { readonly is: 'end'; readonly step: number; readonly weightsSha256: string };

/** Members that came to unlike ends are told apart before. `endStep`: from there on it is the end of the run, not of a worker's part in it. */
export function endingOf(
  members: readonly Worker[],
  endStep: number,
  progress: { isOnDisk(step: number): boolean },
): Ending {
  if (members.some(({ finished, failed }) => finished === null && !failed)) return { is: 'notYet' };
  const claimant = members.find(({ failed }) => failed);
  if (claimant !== undefined) return { is: 'claimedAlone', worker: claimant };
  const { step, weightsSha256 } = members[0]!.finished!;
  if (step >= endStep) return { is: 'end', step, weightsSha256 };
  if (!members.some(({ leaving }) => leaving)) return { is: 'tooEarly', step };
  return { is: progress.isOnDisk(step) ? 'handedOver' : 'notYet' };
}
