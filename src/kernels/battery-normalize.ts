// Cases of batch normalisation (statistics, forward, backward) and of the sums over shards.

import {
  batteryCase,
  input,
  type LayoutName,
  layouts,
  momentsRecords,
  output,
  positive,
  rectified,
  update,
} from './battery-case.ts';
import { batteryMetrics } from './battery-run.ts';

/** Layout, positions (pixels a row), channels. */
const sizes: readonly (readonly [LayoutName, number, number])[] = [
  ['one', 1, 1],
  ['one', 9, 17],
  ['even', 4, 16],
  ['uneven', 1, 15],
  ['few', 6, 33],
  ['middle', 5, 64],
  ['sparse', 2, 7],
  ['idle', 3, 4],
  ['large', 36, 32],
  ['many', 3, 20],
];

/** A mean well away from 0, where a naive variance would lose everything. */
const shifted = (u: number): number => 50 + u;

const statistics = (channels: number) => 1 + 2 * channels;

export const normalizeCases = {
  momentsLeaves: sizes.map(([layout, positions, channels], i) => {
    const { rows, shards } = layouts[layout];
    const x = input(rows * positions * channels, i % 2 ? shifted : undefined);
    const leaves = output(shards * statistics(channels));
    return batteryCase('momentsLeaves', `${positions} x ${channels}`, layout, {
      leaves,
      x,
      positions,
      channels,
    });
  }),

  momentsNodes: sizes.map(([layout, , channels]) => {
    const { shards, globalNodes } = layouts[layout];
    const leaves = input(shards * statistics(channels), momentsRecords(channels));
    const nodes = output(globalNodes * statistics(channels));
    return batteryCase('momentsNodes', String(channels), layout, { nodes, leaves, channels });
  }),

  momentsMerge: sizes.map(([layout, , channels]) => {
    const nodes = input(layouts[layout].globalNodes * statistics(channels), momentsRecords(channels));
    const record = output(statistics(channels));
    return batteryCase('momentsMerge', String(channels), layout, { record, nodes, channels });
  }),

  momentsPrepare: sizes.flatMap(([layout, , channels]) =>
    [0, 1, 3].map((records) => {
      const { ownShards, shards } = layouts[layout];
      return batteryCase('momentsPrepare', `${channels}, ${records} records`, layout, {
        mean: output((records || ownShards) * channels),
        inverse: output((records || ownShards) * channels),
        record: input((records || shards) * statistics(channels), momentsRecords(channels)),
        records,
        channels,
        epsilon: 1e-5,
      });
    }),
  ),

  momentsRunning: [0, 1, 2, 100].flatMap((count) =>
    [1, 16, 33].map((channels) =>
      batteryCase('momentsRunning', `${channels}, count ${count}`, 'uneven', {
        runningMean: update(channels),
        runningVariance: update(channels, positive),
        record: input(statistics(channels), (u, i) => (i === 0 ? count : u * count)),
        channels,
        momentum: 0.1,
      }),
    ),
  ),

  runningPrepare: [1, 15, 16, 17, 100].map((channels) =>
    batteryCase('runningPrepare', String(channels), 'uneven', {
      mean: output(channels),
      inverse: output(channels),
      runningMean: input(channels),
      runningVariance: input(channels, positive),
      channels,
      epsilon: 1e-3,
    }),
  ),

  normalizeForward: sizes.flatMap(([layout, positions, channels], i) =>
    [0, 1].map((perShard) => {
      const { rows, ownShards } = layouts[layout];
      const records = perShard ? ownShards : 1;
      return batteryCase(
        'normalizeForward',
        `${positions} x ${channels}${perShard ? ' per shard' : ''}`,
        layout,
        {
          y: output(rows * positions * channels),
          x: input(rows * positions * channels),
          mean: input(records * channels),
          inverse: input(records * channels, positive),
          gamma: input(channels),
          beta: input(channels),
          positions,
          channels,
          activation: i % 2,
          perShard,
        },
      );
    }),
  ),

  normalizeSums: sizes.flatMap(([layout, positions, channels], i) =>
    [0, 1].map((perShard) => {
      const { rows, ownShards, shards } = layouts[layout];
      const records = perShard ? ownShards : 1;
      return batteryCase(
        'normalizeSums',
        `${positions} x ${channels}${perShard ? ' per shard' : ''}`,
        layout,
        {
          leaves: output(shards * 2 * channels),
          dy: input(rows * positions * channels),
          x: input(rows * positions * channels),
          mask: i % 2 ? input(rows * positions * channels, rectified) : null,
          mean: input(records * channels),
          inverse: input(records * channels, positive),
          positions,
          channels,
          perShard,
        },
      );
    }),
  ),

  normalizeBackward: sizes.flatMap(([layout, positions, channels], i) =>
    [0, 1].map((perShard) => {
      const { rows, ownShards, shards } = layouts[layout];
      const records = perShard ? ownShards : 1;
      return batteryCase(
        'normalizeBackward',
        `${positions} x ${channels}${perShard ? ' per shard' : ''}`,
        layout,
        {
          dx: output(rows * positions * channels),
          dy: input(rows * positions * channels),
          x: input(rows * positions * channels),
          mask: i % 2 ? input(rows * positions * channels, rectified) : null,
          mean: input(records * channels),
          inverse: input(records * channels, positive),
          gamma: input(channels),
          sums: input((perShard ? shards : 1) * 2 * channels),
          record: input((perShard ? shards : 1) * statistics(channels), (_, place) => 5 + (place % 4)),
          positions,
          channels,
          perShard,
        },
      );
    }),
  ),

  sumNodes: sizes.flatMap(([layout, positions, count]) =>
    [0, 1].map((gathered) => {
      const { ownNodes, globalNodes, shards } = layouts[layout];
      const columns = count + positions;
      const stride = count + 16;
      return batteryCase('sumNodes', `${count} of ${columns}${gathered ? ' gathered' : ''}`, layout, {
        out: output((gathered ? globalNodes : ownNodes) * stride),
        stride,
        leaves: input(shards * columns),
        columns,
        from: positions,
        count,
        gathered,
      });
    }),
  ),

  sumMerge: sizes.map(([layout, , count]) => {
    const stride = count + 3;
    const nodes = input(layouts[layout].globalNodes * stride);
    return batteryCase('sumMerge', String(count), layout, { out: output(count), nodes, stride, count });
  }),

  shardSums: sizes.map(([layout], i) => {
    const x = input(layouts[layout].rows);
    const metric = i % batteryMetrics;
    return batteryCase('shardSums', `metric ${i}`, layout, { x, metric, metrics: batteryMetrics });
  }),
} as const;
