// What the members of one generation report: sizes held against the plan, and the parts of an evaluation put together.

import type { MessageOf } from '../proto/messages.ts';
import { shardBoundaries } from '../src/numerics/tree.ts';
import type { RunFacts, Worker } from './worker-record.ts';

type Part = MessageOf<'evaluation'>;

export class MemberResults {
  readonly #facts: RunFacts;
  readonly #boundaries: readonly number[];
  /** By step, by rank. */
  readonly #parts = new Map<number, Map<number, Part>>();

  constructor(facts: RunFacts, members: number) {
    this.#facts = facts;
    this.#boundaries = shardBoundaries(Math.max(1, members), facts.shards);
  }

  problemOfReport(report: MessageOf<'report'>): string | null {
    const { shards, reports } = this.#facts;
    return report.sums.length === shards * reports * 4 ? null : 'it sent a report of a wrong size';
  }

  problemOfPart(rank: number, { firstShard, sums }: Part): string | null {
    const { reports, evaluationBatches } = this.#facts;
    const first = this.#boundaries[rank]!;
    const own = this.#boundaries[rank + 1]! - first;
    if (firstShard === first && sums.length === evaluationBatches * own * reports * 4) return null;
    return 'it sent an evaluation of other shards';
  }

  /** All parts in rank order, once the last is here. */
  add(rank: number, part: Part): readonly Part[] | null {
    const parts = this.#parts.get(part.step) ?? new Map<number, Part>();
    this.#parts.set(part.step, parts.set(rank, part));
    if (parts.size < this.#boundaries.length - 1) return null;
    this.#parts.delete(part.step);
    return Array.from({ length: parts.size }, (_, each) => parts.get(each)!);
  }
}

/** What it means that members have come to the end of their steps. */
export type Ending =
  | { readonly is: 'notYet' }
  | { readonly is: 'different'; readonly how: string }
  /** The last worker leaves, and the state that it handed over is a checkpoint on disk. */
  | { readonly is: 'handedOver' }
  | { readonly is: 'end'; readonly step: number; readonly weightsSha256: string };

/** `endStep`: from there on it is the end of the run, not of a worker's part in it. */
export function endingOf(
  members: readonly Worker[],
  endStep: number,
  progress: { isOnDisk(step: number): boolean },
): Ending {
  if (members.some(({ finished }) => finished === null)) return { is: 'notYet' };
  const how = weightsDifference(members);
  if (how !== null) return { is: 'different', how };
  const { step, weightsSha256 } = members[0]!.finished!;
  if (step >= endStep) return { is: 'end', step, weightsSha256 };
  return { is: progress.isOnDisk(step) ? 'handedOver' : 'notYet' };
}

/** One line where members that have all finished have not the same weights, else null. */
export function weightsDifference(members: readonly Worker[]): string | null {
  const [first, ...others] = members.map(({ finished, hello }) => ({ ...finished!, name: hello!.workerId }));
  const different = others.find(
    ({ weightsSha256, step }) => weightsSha256 !== first!.weightsSha256 || step !== first!.step,
  );
  if (different === undefined) return null;
  return `after step ${first!.step} worker ${different.name} has other weights than worker ${first!.name}: one of the two machines computes wrongly`;
}
