// Batch normalisation itself, given mean and 1 / deviation, and its gradient (Ioffe and Szegedy 2015).

import {
  type Lane,
  laneRows,
  laneShare,
  longSumValue,
  multiplyAdd,
  type ReferenceKernel,
  relu,
  shardOf,
  shardRows,
} from './lane.ts';

/** Calls body(row, element of x, channel) for this lane's rows x positions x channels. */
function forEachElement(
  lane: Lane,
  positions: number,
  channels: number,
  body: (row: number, element: number, channel: number) => void,
): void {
  const rows = laneRows(lane);
  for (let row = rows.from; row < rows.to; row += 1)
    for (let position = row * positions; position < (row + 1) * positions; position += 1)
      for (let channel = 0; channel < channels; channel += 1)
        body(row, position * channels + channel, channel);
}

/** Where dy counts: everywhere, or where the relu that followed let the value through. */
function gradientAt({ floats }: Lane, dy: number, mask: number, element: number): number {
  return mask >= 0 && !(floats[mask + element]! > 0) ? 0 : floats[dy + element]!;
}

export const normalizeForward: ReferenceKernel<'normalizeForward'> = (lane, a) => {
  const { floats, round } = lane;
  forEachElement(lane, a.positions, a.channels, (row, element, channel) => {
    const statistic = (a.perShard ? shardOf(lane, row) * a.channels : 0) + channel;
    const scale = round(floats[a.gamma + channel]! * floats[a.inverse + statistic]!);
    const shift = multiplyAdd(lane, -floats[a.mean + statistic]!, scale, floats[a.beta + channel]!);
    const y = multiplyAdd(lane, floats[a.x + element]!, scale, shift);
    floats[a.y + element] = a.activation === 1 ? relu(y) : y;
  });
};

/** Per own shard: sum of dy', sum of dy' * xhat: the gradients of beta and gamma. */
export const normalizeSums: ReferenceKernel<'normalizeSums'> = (lane, a) => {
  const { floats, round, table } = lane;
  const share = laneShare(lane, a.channels);
  for (let shard = 0; shard < table.shards; shard += 1) {
    const { from, to } = shardRows(lane, shard);
    const leaf = a.leaves + (table.firstShard + shard) * 2 * a.channels;
    for (let channel = share.from; channel < share.to; channel += 1) {
      const statistic = (a.perShard ? shard * a.channels : 0) + channel;
      const element = (i: number): number => (from * a.positions + i) * a.channels + channel;
      const count = (to - from) * a.positions;
      const sum = longSumValue(lane, count, (total, i) =>
        round(total + gradientAt(lane, a.dy, a.mask, element(i))),
      );
      const product = longSumValue(lane, count, (total, i) => {
        const centered = round(floats[a.x + element(i)]! - floats[a.mean + statistic]!);
        return multiplyAdd(lane, gradientAt(lane, a.dy, a.mask, element(i)), centered, total);
      });
      floats[leaf + channel] = sum;
      floats[leaf + a.channels + channel] = product * floats[a.inverse + statistic]!;
    }
  }
};

/** dx = gamma * inverse * (dy' - mean of dy' - xhat * mean of dy' xhat), as fma(dy', slope, fma(x - mean, tilt, offset)) */
export const normalizeBackward: ReferenceKernel<'normalizeBackward'> = (lane, a) => {
  const { floats, round, table } = lane;
  forEachElement(lane, a.positions, a.channels, (row, element, channel) => {
    const own = a.perShard ? shardOf(lane, row) : 0;
    const leaf = a.perShard ? table.firstShard + own : 0;
    const statistic = own * a.channels + channel;
    const inverse = floats[a.inverse + statistic]!;
    const count = floats[a.record + leaf * (1 + 2 * a.channels)]!;
    const sums = a.sums + leaf * 2 * a.channels + channel;
    const meanGradient = round(floats[sums]! / count);
    const meanProduct = round(floats[sums + a.channels]! / count);
    const slope = round(floats[a.gamma + channel]! * inverse);
    const tilt = -round(slope * round(inverse * meanProduct));
    const offset = -round(slope * meanGradient);
    const centered = round(floats[a.x + element]! - floats[a.mean + statistic]!);
    const dy = gradientAt(lane, a.dy, a.mask, element);
    floats[a.dx + element] = multiplyAdd(lane, dy, slope, multiplyAdd(lane, centered, tilt, offset));
  });
};
