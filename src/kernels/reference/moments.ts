// Statistics of batch normalisation: records [count, mean[channels], m2[channels]] (m2: sum of squares around the mean),
// made within a shard and merged in the tree by Chan, Golub and LeVeque (1979).

import { sqrt } from '../../numerics/math.ts';
import {
  blockSum,
  type Lane,
  laneShare,
  longBlock,
  longSum,
  multiplyAdd,
  type Range,
  type ReferenceKernel,
  shardRows,
} from './lane.ts';
import { mergedNodes, ownNodes } from './nodes.ts';

/** One channel of a record. */
interface Moments {
  readonly count: number;
  readonly mean: number;
  readonly m2: number;
}

function merge(lane: Lane, a: Moments, b: Moments): Moments {
  if (b.count === 0) return a;
  if (a.count === 0) return b;
  const { round } = lane;
  const count = round(a.count + b.count);
  const share = round(b.count / count);
  const delta = round(b.mean - a.mean);
  const between = round(a.count * share);
  return {
    count,
    mean: multiplyAdd(lane, delta, share, a.mean),
    m2: multiplyAdd(lane, round(delta * delta), between, round(a.m2 + b.m2)),
  };
}

function readRecord({ floats }: Lane, record: number, channels: number, channel: number): Moments {
  return {
    count: floats[record]!,
    mean: floats[record + 1 + channel]!,
    m2: floats[record + 1 + channels + channel]!,
  };
}

/** The count is written by whoever has channel 0. */
function writeRecord({ floats }: Lane, record: number, channels: number, channel: number, m: Moments): void {
  if (channel === 0) floats[record] = m.count;
  floats[record + 1 + channel] = m.mean;
  floats[record + 1 + channels + channel] = m.m2;
}

/** Long sums around the mean of the first positions. `rows` are rows of x[rows, channels]. */
function momentsOf(lane: Lane, x: number, rows: Range, channels: number, channel: number): Moments {
  const { floats, round } = lane;
  const count = rows.to - rows.from;
  if (count === 0) return { count: 0, mean: 0, m2: 0 };
  const at = (position: number): number => floats[x + (rows.from + position) * channels + channel]!;
  const first = at(0);
  const ahead = Math.min(longBlock, count);
  const shift = round(
    first + round(blockSum(lane, ahead, (sum, i) => round(sum + round(at(i) - first))) / ahead),
  );
  const sums = longSum(lane, count, (sum, i) => round(sum + round(at(i) - shift)));
  const squares = longSum(lane, count, (sum, i) => {
    const d = round(at(i) - shift);
    return multiplyAdd(lane, d, d, sum);
  });
  const average = round(sums.sum / count);
  const remainder = multiplyAdd(lane, -average, count, sums.sum);
  const product = round(sums.sum * average);
  const error = multiplyAdd(lane, sums.sum, average, -product);
  const low = multiplyAdd(
    lane,
    -round(average + average),
    sums.rest,
    multiplyAdd(lane, -sums.sum, round(remainder / count), squares.rest),
  );
  const m2 = round(round(squares.sum - product) + round(low - error));
  const rest = round(round(remainder + sums.rest) / count);
  return { count, mean: round(shift + round(average + rest)), m2: Math.max(m2, 0) };
}

export const momentsLeaves: ReferenceKernel<'momentsLeaves'> = (lane, a) => {
  const share = laneShare(lane, a.channels);
  for (let shard = 0; shard < lane.table.shards; shard += 1) {
    const { from, to } = shardRows(lane, shard);
    const rows = { from: from * a.positions, to: to * a.positions };
    const record = a.leaves + (lane.table.firstShard + shard) * (1 + 2 * a.channels);
    for (let channel = share.from; channel < share.to; channel += 1)
      writeRecord(lane, record, a.channels, channel, momentsOf(lane, a.x, rows, a.channels, channel));
  }
};

export const momentsNodes: ReferenceKernel<'momentsNodes'> = (lane, a) => {
  const share = laneShare(lane, a.channels);
  const size = 1 + 2 * a.channels;
  for (let channel = share.from; channel < share.to; channel += 1) {
    const leaf = (shard: number): Moments =>
      readRecord(lane, a.leaves + (lane.table.firstShard + shard) * size, a.channels, channel);
    ownNodes(lane, leaf, (left, right) => merge(lane, left, right)).forEach((node, j) => {
      writeRecord(lane, a.nodes + (lane.table.nodeStart + j) * size, a.channels, channel, node);
    });
  }
};

export const momentsMerge: ReferenceKernel<'momentsMerge'> = (lane, a) => {
  const share = laneShare(lane, a.channels);
  const size = 1 + 2 * a.channels;
  for (let channel = share.from; channel < share.to; channel += 1) {
    const node = (j: number): Moments => readRecord(lane, a.nodes + j * size, a.channels, channel);
    const root = mergedNodes(lane, node, (left, right) => merge(lane, left, right));
    writeRecord(lane, a.record, a.channels, channel, root);
  }
};

function inverseDeviation({ round }: Lane, variance: number, epsilon: number): number {
  return 1 / round(sqrt(round(variance + epsilon)));
}

export const momentsPrepare: ReferenceKernel<'momentsPrepare'> = (lane, a) => {
  const { floats, round, table } = lane;
  const share = laneShare(lane, a.channels);
  const size = 1 + 2 * a.channels;
  const first = a.records === 0 ? a.record + table.firstShard * size : a.record;
  for (let r = 0; r < (a.records || table.shards); r += 1) {
    for (let channel = share.from; channel < share.to; channel += 1) {
      const { count, mean, m2 } = readRecord(lane, first + r * size, a.channels, channel);
      const variance = count > 0 ? round((Number.isFinite(m2) ? m2 : NaN) / count) : 0;
      floats[a.mean + r * a.channels + channel] = mean;
      floats[a.inverse + r * a.channels + channel] = inverseDeviation(lane, variance, a.epsilon);
    }
  }
};

export const momentsRunning: ReferenceKernel<'momentsRunning'> = (lane, a) => {
  const { floats, round } = lane;
  const share = laneShare(lane, a.channels);
  const follow = (at: number, value: number): void => {
    floats[at] = multiplyAdd(lane, a.momentum, round(value - floats[at]!), floats[at]!);
  };
  for (let channel = share.from; channel < share.to; channel += 1) {
    const { count, mean, m2 } = readRecord(lane, a.record, a.channels, channel);
    if (count < 2) continue;
    follow(a.runningMean + channel, mean);
    follow(a.runningVariance + channel, round(m2 / (count - 1)));
  }
};

export const runningPrepare: ReferenceKernel<'runningPrepare'> = (lane, a) => {
  const { floats } = lane;
  const share = laneShare(lane, a.channels);
  for (let channel = share.from; channel < share.to; channel += 1) {
    floats[a.mean + channel] = floats[a.runningMean + channel]!;
    floats[a.inverse + channel] = inverseDeviation(lane, floats[a.runningVariance + channel]!, a.epsilon);
  }
};
