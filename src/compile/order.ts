// The order of a training step with peers, beyond the graph's own (which has weight gradients as early as can be): some
// weight gradients fill the time of a batch-norm swap, and a bucket is emitted behind its last gradient.

import type { Bucket, TensorLayout } from '../engine/contract.ts';
import { assert } from '../errors.ts';
import { type Buffer, type Item, readsOf, writesOf } from './instructions.ts';

/**
 * Moves the weight gradients of the layer just behind a batch norm into the time of that norm's swap, where the lanes would
 * have nothing to do but wait. Only that one layer's: the all-reduce of the others should start as early as it can.
 */
export function fillExchanges(items: readonly Item[], partials: Buffer): Item[] {
  const lastCut = items.findLastIndex(({ kind }) => kind === 'cut');
  const ordered: Item[] = [];
  let waiting: Item[] = [];
  const flush = (): void => {
    ordered.push(...waiting);
    waiting = [];
  };
  items.forEach((item, index) => {
    if (index < lastCut && isGradient(item, partials)) {
      if (waiting.length > 0 && !haveCommonInput(waiting[0]!, item)) flush();
      waiting.push(item);
      return;
    }
    if (item.kind === 'cut') flush();
    ordered.push(item);
  });
  assert(waiting.length === 0, 'every gradient found its place');
  return ordered;
}

/** Puts an `emit` behind the last gradient of each bucket. */
export function emitBuckets(
  items: readonly Item[],
  partials: Buffer,
  tensors: readonly TensorLayout[],
  buckets: readonly Bucket[],
  repeat: { readonly count: number; readonly stride: number },
): Item[] {
  const missing = buckets.map(
    ({ from, to }) =>
      new Set(tensors.filter(({ offset }) => from <= offset && offset < to).map(({ offset }) => offset)),
  );
  const ordered = items.flatMap((item): Item[] => {
    const done = writesOf(item).filter(({ buffer }) => buffer === partials);
    const emitted = buckets.flatMap(({ from, to }, bucket): Item[] => {
      const left = missing[bucket]!;
      const some = done.filter((reference) => left.delete(reference.from)).length > 0;
      if (!some || left.size > 0) return [];
      const part = `[${from}, ${to})`;
      return [{ kind: 'emit', bucket, reads: [{ buffer: partials, from, size: to - from, part, repeat }] }];
    });
    return [item, ...emitted];
  });
  assert(
    missing.every(({ size }) => size === 0),
    'every bucket is emitted',
  );
  return ordered;
}

function isGradient(item: Item, partials: Buffer): boolean {
  const writes = writesOf(item);
  return writes.length > 0 && writes.every(({ buffer }) => buffer === partials);
}

/** The gradients of a layer's weights and bias read the same gradient of its output. */
function haveCommonInput(a: Item, b: Item): boolean {
  return readsOf(a).some(({ buffer }) => readsOf(b).some((other) => other.buffer === buffer));
}
