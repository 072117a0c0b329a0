// The state of one bucket in one step of the all-reduce: what is missing, what waits, what has come. Used again two steps
// later. Pure.

import type { MessageOf } from '../../proto/messages.ts';
import { type BucketPlan, pieceCount } from './chunks.ts';
import type { World } from './world.ts';

export class Round {
  step = 0;
  ownReady = false;
  piecesLeft = 0;
  sumsLeft = 0;
  /** Direct: messages that have not left yet. */
  leaving = 0;
  /** By own piece: ranks whose nodes are missing, the own one counted. */
  readonly missing: Int32Array;
  /** [own piece][rank]: nodes that wait to be added. */
  readonly received: (Float32Array | null)[];
  /** [rank][its piece]: sums that came. */
  readonly sumsSeen: readonly Uint8Array[];
  /** Sums that came before the own nodes were ready, when the gradient was still in use. */
  readonly early: { readonly rank: number; readonly message: MessageOf<'sum'> }[] = [];

  constructor(plan: BucketPlan, world: World) {
    const pieces = pieceCount(plan.owned[world.rank]!, plan.pieceFloats);
    this.missing = new Int32Array(pieces);
    this.received = new Array<Float32Array | null>(pieces * world.size).fill(null);
    this.sumsSeen = plan.owned.map((range, rank) => {
      const none = plan.direct || rank === world.rank;
      return new Uint8Array(none ? 0 : pieceCount(range, plan.pieceFloats));
    });
  }

  begin(step: number, contributors: number): void {
    this.step = step;
    this.ownReady = false;
    this.missing.fill(contributors);
    this.piecesLeft = this.missing.length;
    this.sumsLeft = 0;
    for (const seen of this.sumsSeen) {
      seen.fill(0);
      this.sumsLeft += seen.length;
    }
  }
}
