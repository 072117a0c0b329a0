// Cases of batch normalisation (statistics, forward, backward) and of the sums over shards.

import { batteryCase, input, momentsRecords, output, positive, rectified, update } from './battery-case.ts';
import type { Draw } from './battery-draw.ts';
import { family, layoutOf, type Place, sampleSizeMax, samplesMax } from './battery-family.ts';
import { batteryMetrics } from './battery-run.ts';

/** Positions: pixels a row. */
type Shape = readonly [place: Place, positions: number, channels: number];

const kept: readonly Shape[] = [
  ['idle', 3, 4],
  ['many', 3, 20],
  // Blocks of a long sum, with a rest.
  ['one', 150, 17],
  // More channels than have their coefficients on the stack.
  ['few', 1, 600],
];

function drawShape(draw: Draw, elementsMax: number): Shape {
  const place = draw.layout(samplesMax(elementsMax));
  const most = sampleSizeMax(place, elementsMax);
  const channels = draw.size(Math.min(most, 700));
  return [place, draw.size(Math.max(1, Math.ceil(most / channels))), channels];
}

/** Of records alone: the leaves of all shards. */
function drawRecords(draw: Draw, elementsMax: number): Shape {
  const place = draw.layout(samplesMax(elementsMax));
  return [place, draw.below(20), draw.size(Math.ceil(elementsMax / 60))];
}

/** A mean well away from 0, where a naive variance would lose everything. */
const shifted = (u: number): number => 50 + u;

const statistics = (channels: number) => 1 + 2 * channels;

/** mean, inverse: of the batch, or of each own shard. */
const perShardOf = (variant: number): number => variant % 2;

function named(positions: number, channels: number, perShard: number, mask: unknown): string {
  return `${positions} x ${channels}${perShard ? ' per shard' : ''}${mask ? ' mask' : ''}`;
}

export const normalizeCases = {
  momentsLeaves: family(
    ([place, positions, channels]: Shape, variant) => {
      const { rows, shards } = layoutOf(place);
      const x = input(rows * positions * channels, variant % 2 ? shifted : undefined);
      const leaves = output(shards * statistics(channels));
      return batteryCase('momentsLeaves', `${positions} x ${channels}`, place, {
        leaves,
        x,
        positions,
        channels,
      });
    },
    kept,
    drawShape,
  ),

  momentsNodes: family(
    ([place, , channels]: Shape) => {
      const { shards, globalNodes } = layoutOf(place);
      const leaves = input(shards * statistics(channels), momentsRecords(channels));
      const nodes = output(globalNodes * statistics(channels));
      return batteryCase('momentsNodes', String(channels), place, { nodes, leaves, channels });
    },
    kept,
    drawRecords,
  ),

  momentsMerge: family(
    ([place, , channels]: Shape) => {
      const nodes = input(layoutOf(place).globalNodes * statistics(channels), momentsRecords(channels));
      const record = output(statistics(channels));
      return batteryCase('momentsMerge', String(channels), place, { record, nodes, channels });
    },
    kept,
    drawRecords,
  ),

  momentsPrepare: family(
    ([place, , channels]: Shape, variant) => {
      const records = [0, 1, 3][variant % 3]!;
      const { ownShards, shards } = layoutOf(place);
      return batteryCase('momentsPrepare', `${channels}, ${records} records`, place, {
        mean: output((records || ownShards) * channels),
        inverse: output((records || ownShards) * channels),
        record: input((records || shards) * statistics(channels), momentsRecords(channels)),
        records,
        channels,
        epsilon: 1e-5,
      });
    },
    kept,
    drawRecords,
  ),

  momentsRunning: family(
    (channels: number, variant) => {
      const count = [0, 1, 2, 100][variant % 4]!;
      return batteryCase('momentsRunning', `${channels}, count ${count}`, 'uneven', {
        runningMean: update(channels),
        runningVariance: update(channels, positive),
        record: input(statistics(channels), (u, i) => (i === 0 ? count : u * count)),
        channels,
        momentum: 0.1,
      });
    },
    [33, 33, 33, 33],
    (draw) => draw.size(300),
  ),

  runningPrepare: family(
    (channels: number) =>
      batteryCase('runningPrepare', String(channels), 'uneven', {
        mean: output(channels),
        inverse: output(channels),
        runningMean: input(channels),
        runningVariance: input(channels, positive),
        channels,
        epsilon: 1e-3,
      }),
    [33],
    (draw) => draw.size(300),
  ),

  normalizeForward: family(
    ([place, positions, channels]: Shape, variant) => {
      const { rows, ownShards } = layoutOf(place);
      const perShard = perShardOf(variant);
      const records = perShard ? ownShards : 1;
      const activation = variant % 3 === 0 ? 1 : 0;
      const name = `${named(positions, channels, perShard, null)}${activation ? ' relu' : ''}`;
      return batteryCase('normalizeForward', name, place, {
        y: output(rows * positions * channels),
        x: input(rows * positions * channels),
        mean: input(records * channels),
        inverse: input(records * channels, positive),
        gamma: input(channels),
        beta: input(channels),
        positions,
        channels,
        activation,
        perShard,
      });
    },
    kept,
    drawShape,
  ),

  normalizeSums: family(
    ([place, positions, channels]: Shape, variant) => {
      const { rows, ownShards, shards } = layoutOf(place);
      const perShard = perShardOf(variant);
      const records = perShard ? ownShards : 1;
      const mask = variant % 3 === 0 ? input(rows * positions * channels, rectified) : null;
      return batteryCase('normalizeSums', named(positions, channels, perShard, mask), place, {
        leaves: output(shards * 2 * channels),
        dy: input(rows * positions * channels),
        x: input(rows * positions * channels),
        mask,
        mean: input(records * channels),
        inverse: input(records * channels, positive),
        positions,
        channels,
        perShard,
      });
    },
    kept,
    drawShape,
  ),

  normalizeBackward: family(
    ([place, positions, channels]: Shape, variant) => {
      const { rows, ownShards, shards } = layoutOf(place);
      const perShard = perShardOf(variant);
      const records = perShard ? ownShards : 1;
      const mask = variant % 3 === 0 ? input(rows * positions * channels, rectified) : null;
      return batteryCase('normalizeBackward', named(positions, channels, perShard, mask), place, {
        dx: output(rows * positions * channels),
        dy: input(rows * positions * channels),
        x: input(rows * positions * channels),
        mask,
        mean: input(records * channels),
        inverse: input(records * channels, positive),
        gamma: input(channels),
        sums: input((perShard ? shards : 1) * 2 * channels),
        record: input((perShard ? shards : 1) * statistics(channels), (_, at) => 5 + (at % 4)),
        positions,
        channels,
        perShard,
      });
    },
    kept,
    drawShape,
  ),

  sumNodes: family(
    ([place, positions, count]: Shape, variant) => {
      const gathered = variant % 2;
      const { ownNodes, globalNodes, shards } = layoutOf(place);
      const columns = count + positions;
      const stride = count + 16;
      return batteryCase('sumNodes', `${count} of ${columns}${gathered ? ' gathered' : ''}`, place, {
        out: output((gathered ? globalNodes : ownNodes) * stride),
        stride,
        leaves: input(shards * columns),
        columns,
        from: positions,
        count,
        gathered,
      });
    },
    kept,
    drawRecords,
  ),

  sumMerge: family(
    ([place, , count]: Shape) => {
      const stride = count + 3;
      const nodes = input(layoutOf(place).globalNodes * stride);
      return batteryCase('sumMerge', String(count), place, { out: output(count), nodes, stride, count });
    },
    kept,
    drawRecords,
  ),

  shardSums: family(
    (place: Place, variant) => {
      const metric = variant % batteryMetrics;
      const x = input(layoutOf(place).rows);
      return batteryCase('shardSums', `metric ${metric}`, place, { x, metric, metrics: batteryMetrics });
    },
    ['idle', 'many'],
    (draw, elementsMax) => draw.layout(samplesMax(elementsMax)),
  ),
} as const;
