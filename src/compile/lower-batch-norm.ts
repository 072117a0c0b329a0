// Lowering of batch norm. Its statistics and the sums of its gradient go through the tree over shards: leaves (one record
// a shard), the worker's whole nodes, with peers a swap of nodes, the merged record. sync 'shard' normalises each shard by
// its own record; the merged one is then wanted by the running statistics alone, so that nothing waits for its swap.

import { assert } from '../errors.ts';
import type { Value } from '../ir/graph.ts';
import { sizeOf } from '../ir/shapes.ts';
import { call, type Item, type Reference, whole } from './instructions.ts';
import type { Lowering } from './lowering.ts';

interface NormBuffers {
  readonly channels: number;
  readonly positions: number;
  readonly perShard: 0 | 1;
  readonly leaves: Reference;
  readonly mean: Reference;
  readonly inverse: Reference;
  /** Gathered nodes of the moments. */
  readonly nodes: Reference;
  /** The merged moments. */
  readonly record: Reference;
}

type BatchNorm = Value<'batchNorm'>;

export function lowerBatchNorm(value: BatchNorm, to: Lowering): void {
  const [x, gamma, beta, runningMean, runningVariance] = value.operands.map((id) =>
    to.at(id),
  ) as Reference[] & [Reference, Reference, Reference, Reference, Reference];
  const { channels, positions, perShard, leaves, mean, inverse, nodes, record } = buffersOf(value, to);
  const { epsilon, momentum } = value.attributes;
  const activation = to.input.fusion.relu.has(value.id) ? 1 : 0;
  const normalize = {
    y: to.at(value.id),
    x,
    mean,
    inverse,
    gamma,
    beta,
    positions,
    channels,
    activation,
    perShard,
  };
  if (to.input.inference) {
    to.push('runningPrepare', { mean, inverse, runningMean, runningVariance, channels, epsilon });
    to.push('normalizeForward', { ...normalize, perShard: 0 });
    return;
  }
  to.push('momentsLeaves', { leaves, x, positions, channels });
  const merge = mergeOf(nodes, record, channels, to);
  const gather = call('momentsNodes', { nodes, leaves, channels });
  if (perShard) {
    to.items.push(gather, ...merge.exchange);
    to.update.push(...merge.calls);
    to.push('momentsPrepare', { mean, inverse, record: leaves, records: 0, channels, epsilon });
  } else {
    to.items.push(gather, ...merge.exchange, ...merge.cut, ...merge.calls);
    to.push('momentsPrepare', { mean, inverse, record, records: 1, channels, epsilon });
  }
  to.push('normalizeForward', normalize);
  to.update.push(call('momentsRunning', { runningMean, runningVariance, record, channels, momentum }));
}

type NormGradient = Value<'batchNormInputGradient' | 'batchNormGammaGradient' | 'batchNormBetaGradient'>;

/** All gradients of one batch norm at once, at the first of them. */
export function lowerBatchNormGradients(value: NormGradient, to: Lowering): void {
  const group = groupOf(value, to);
  if (group[0] !== value) return;
  const norm = to.value(value.operands[1]!);
  assert(norm.op === 'batchNorm', 'a batch norm gradient names its batch norm');
  const { channels, positions, perShard, leaves: momentLeaves, mean, inverse, record } = buffersOf(norm, to);
  const x = to.at(norm.operands[0]!);
  const gamma = to.at(norm.operands[1]!);
  const dy = to.at(value.operands[0]!);
  const masking = to.input.fusion.mask.get(norm.id);
  const mask = masking === undefined ? null : to.at(masking);
  const columns = 2 * channels;
  const { shards } = to.input.assignment;
  const leaves = whole(to.buffer(`${norm.layer}.dleaves`, shards * columns));
  to.push('normalizeSums', { leaves, dy, x, mask, mean, inverse, positions, channels, perShard });

  const ownSums = group.flatMap((gradient): Item[] => {
    if (gradient.op === 'batchNormInputGradient') return [];
    const { out, stride } = to.gradientOf(gradient.id);
    const from = gradient.op === 'batchNormBetaGradient' ? 0 : channels;
    return [call('sumNodes', { out, stride, leaves, columns, from, count: channels, gathered: 0 })];
  });
  const dx = group.find(({ op }) => op === 'batchNormInputGradient');
  if (dx && !perShard) {
    const nodes = whole(to.buffer(`${norm.layer}.dnodes`, to.nodes.all * columns, { permanent: !to.alone }));
    to.push('sumNodes', {
      out: nodes,
      stride: columns,
      leaves,
      columns,
      from: 0,
      count: columns,
      gathered: 1,
    });
    const exchange = to.alone ? [] : [to.exchange(nodes, columns)];
    to.items.push(...exchange, ...ownSums);
    let sums = nodes;
    if (!to.alone) {
      sums = whole(to.buffer(`${norm.layer}.dsums`, columns));
      to.items.push({ kind: 'cut' });
      to.push('sumMerge', { out: sums, nodes, stride: columns, count: columns });
    }
    to.push('normalizeBackward', {
      dx: to.at(dx.id), dy, x, mask, mean, inverse, gamma, sums, record, positions, channels, perShard,
    }); // biome-ignore format: a table
    return;
  }
  to.items.push(...ownSums);
  if (dx) {
    to.push('normalizeBackward', {
      dx: to.at(dx.id), dy, x, mask, mean, inverse, gamma, sums: leaves, record: momentLeaves, positions, channels, perShard,
    }); // biome-ignore format: a table
  }
}

/** The live gradients of the batch norm that `value` is a gradient of, in the graph's order. */
function groupOf(value: NormGradient, to: Lowering): NormGradient[] {
  const { graph, live } = to.input;
  return graph.values.filter(
    (other): other is NormGradient =>
      live[other.id] === true &&
      /^batchNorm.*Gradient$/.test(other.op) &&
      other.operands[1] === value.operands[1],
  );
}

/** Gathered nodes -> merged record. Alone there is one node, which is the record. */
function mergeOf(
  nodes: Reference,
  record: Reference,
  channels: number,
  to: Lowering,
): { exchange: Item[]; cut: Item[]; calls: Item[] } {
  if (to.alone || to.input.inference) return { exchange: [], cut: [], calls: [] };
  return {
    exchange: [to.exchange(nodes, 1 + 2 * channels)],
    cut: [{ kind: 'cut' }],
    calls: [call('momentsMerge', { record, nodes, channels })],
  };
}

function buffersOf(value: BatchNorm, to: Lowering): NormBuffers {
  const channels = value.shape.at(-1)!;
  const { shards, firstShard, endShard } = to.input.assignment;
  const perShard = value.attributes.sync === 'shard' && !to.input.inference ? 1 : 0;
  const recordSize = 1 + 2 * channels;
  const vectors = channels * (perShard ? endShard - firstShard : 1);
  const named = (name: string, size: number, permanent = false): Reference =>
    whole(to.buffer(`${value.layer}.${name}`, size, { permanent }));
  const nodes = named('nodes', (to.input.inference ? 1 : to.nodes.all) * recordSize, !to.alone);
  return {
    channels,
    positions: sizeOf(value.shape) / channels,
    perShard,
    leaves: named('leaves', shards * recordSize),
    mean: named('mean', vectors),
    inverse: named('inverse', vectors),
    nodes,
    record: to.alone ? nodes : named('record', recordSize),
  };
}
