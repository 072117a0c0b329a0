// Barriers: where an instruction depends on what another lane did before, the lanes must meet. Dependencies are found by
// address, so that memory given to a new buffer counts as well as data handed on.

import { kernels } from '../kernels/kernel-list.ts';
import { type Item, type Reference, readsOf, writesOf } from './instructions.ts';
import type { Places } from './plan.ts';

/** A touch of memory. `lane`: touches of one key and one address are made by the same lane; null: by any lane. */
export interface Access {
  readonly ranges: readonly (readonly [from: number, to: number])[];
  readonly write: boolean;
  readonly lane: string | null;
}

/**
 * What an item touches. A `rows` kernel touches only its lane's rows of a row tensor: two such tensors at one address with
 * rows of one size are divided at the same places.
 */
export function accessesOf(item: Item, places: Places): Access[] {
  const access = (reference: Reference, write: boolean): Access => ({
    ranges: rangesOf(reference, places),
    write,
    lane: laneOf(item, reference, places),
  });
  return [
    ...writesOf(item).map((reference) => access(reference, true)),
    ...readsOf(item).map((reference) => access(reference, false)),
  ];
}

/** The two may not run unordered on different lanes. */
export function conflict(a: Access, b: Access): boolean {
  if (!a.write && !b.write) return false;
  if (a.lane !== null && a.lane === b.lane) return false;
  return a.ranges.some(([from, to]) =>
    b.ranges.some(([otherFrom, otherTo]) => from < otherTo && otherFrom < to),
  );
}

/** The items with the barriers they need; `repeated`: the list runs again without a meeting in between. */
export function insertBarriers(
  items: readonly Item[],
  places: Places,
  lanes: number,
  repeated: boolean,
): Item[] {
  if (lanes === 1) return [...items];
  const ordered: Item[] = [];
  let pending: Access[] = [];
  const meet = (): void => {
    ordered.push({ kind: 'barrier' });
    pending = [];
  };
  for (const item of items) {
    const accesses = accessesOf(item, places);
    const needed = accesses.some((access) => pending.some((earlier) => conflict(earlier, access)));
    // The lanes decide by the losses, which lane 0 summed.
    if (needed || item.kind === 'guard') meet();
    if (item.kind === 'cut') pending = [];
    pending.push(...accesses);
    ordered.push(item);
  }
  if (repeated) meet();
  return ordered;
}

function laneOf(item: Item, { buffer, from }: Reference, places: Places): string | null {
  const partition =
    item.kind === 'kernel' ? kernels[item.kernel].partition : item.kind === 'gather' ? 'rows' : 'all';
  if (partition === 'single') return 'lane 0';
  if (partition === 'all' || buffer.rowSize === null) return null;
  return `rows of ${buffer.rowSize} at ${places.get(buffer)! + from}`;
}

function rangesOf({ buffer, from, size, repeat }: Reference, places: Places): [number, number][] {
  const start = places.get(buffer)! + from;
  if (!repeat) return [[start, start + size]];
  return Array.from({ length: repeat.count }, (_, node) => {
    const offset = start + node * repeat.stride;
    return [offset, offset + size];
  });
}
