// Whose part it was that made a step's result not finite, where the step computed alone is finite. Pure.

import type { MessageOf } from '../../proto/messages.ts';

/** Whose part of a step cannot be right; no ranks where that is not known. */
export interface Accusation {
  readonly ranks: readonly number[];
  readonly what: string;
}

/**
 * A loss that is not finite may come of batch statistics that another sent. So it is held against the owners of its shards only
 * where every number that came was looked at (`verified`), and the own shards are as they should be.
 * `sums`: [shards][reports] of the step.
 */
export function accusationOf(
  sums: Float32Array,
  members: MessageOf<'membership'>['members'],
  ownRank: number,
  verified: boolean,
): Accusation {
  const reports = sums.length / members.at(-1)!.endShard;
  const badShardOf = (rank: number): number | null => {
    const { firstShard, endShard } = members[rank]!;
    for (let shard = firstShard; shard < endShard; shard += 1) {
      if (!Number.isFinite(sums[shard * reports]!)) return shard;
    }
    return null;
  };
  const bad = members.flatMap((_, rank) => {
    const shard = badShardOf(rank);
    return shard === null ? [] : [{ rank, shard }];
  });
  const first = bad[0];
  const what = first === undefined ? "the gradient's norm" : `the loss of shard ${first.shard}`;
  const isKnown = verified && badShardOf(ownRank) === null;
  return {
    ranks: isKnown ? bad.map(({ rank }) => rank) : [],
    what: `${what} is not finite, though it is when worker ${members[ownRank]!.workerId} computes the step alone`,
  };
}
