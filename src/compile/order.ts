// The order of a training step beyond the graph's own: weight gradients run as soon as they can; with peers those that
// can wait fill the time of a batch-norm swap; a bucket is emitted behind its last gradient.

import type { Bucket, TensorLayout } from '../engine/contract.ts';
import { assert } from '../errors.ts';
import { type Buffer, type Item, readsOf, writesOf } from './instructions.ts';

/** Moves every weight gradient to right behind what it reads. */
export function hoistGradients(items: readonly Item[], partials: Buffer): Item[] {
  const ordered: Item[] = [];
  for (const item of items) {
    if (!isGradient(item, partials)) {
      ordered.push(item);
      continue;
    }
    const read = new Set(readsOf(item).map(({ buffer }) => buffer));
    let at = 1 + ordered.findLastIndex((other) => writesOf(other).some(({ buffer }) => read.has(buffer)));
    while (at < ordered.length && isGradient(ordered[at]!, partials)) at += 1;
    ordered.splice(at, 0, item);
  }
  return ordered;
}

/** Moves weight gradients into the next swap, where the lanes would have nothing to do but wait. */
export function fillExchanges(items: readonly Item[], partials: Buffer): Item[] {
  const lastCut = items.findLastIndex(({ kind }) => kind === 'cut');
  const ordered: Item[] = [];
  let waiting: Item[] = [];
  items.forEach((item, index) => {
    if (index < lastCut && isGradient(item, partials)) {
      waiting.push(item);
      return;
    }
    if (item.kind === 'cut') {
      ordered.push(...waiting);
      waiting = [];
    }
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
