// The arena plan: permanent buffers side by side, the others by their lifetimes into one stretch behind them.

import { assert, LockstepError } from '../errors.ts';
import { type Buffer, type Item, readsOf, writesOf } from './instructions.ts';
import { aligned } from './layout.ts';

/** Offsets must be an int32 of elements. */
const arenaElementsMax = 2 ** 31 - 1;

export interface Lifetime {
  readonly buffer: Buffer;
  /** First and last item that touches it. */
  readonly from: number;
  readonly to: number;
}

/** Lifetimes of the buffers that are not permanent, in the order of their birth. */
export function lifetimes(items: readonly Item[]): Lifetime[] {
  const alive = new Map<Buffer, { from: number; to: number }>();
  items.forEach((item, index) => {
    for (const { buffer } of [...writesOf(item), ...readsOf(item)]) {
      if (buffer.permanent) continue;
      const life = alive.get(buffer);
      if (life) life.to = index;
      else alive.set(buffer, { from: index, to: index });
    }
  });
  return [...alive].map(([buffer, life]) => ({ buffer, ...life }));
}

export type Places = Map<Buffer, number>;

/**
 * Gives each buffer an offset of at least `base`, such that no two alive at once overlap: the largest first, each at the
 * lowest gap that takes it. Returns the end.
 */
export function placeByLifetime(lives: readonly Lifetime[], base: number, places: Places): number {
  const placed: (Lifetime & { readonly offset: number; readonly end: number })[] = [];
  let end = base;
  for (const life of lives.toSorted((a, b) => b.buffer.size - a.buffer.size || a.from - b.from)) {
    const size = aligned(life.buffer.size);
    const neighbours = placed
      .filter((other) => other.from <= life.to && life.from <= other.to)
      .sort((a, b) => a.offset - b.offset);
    let offset = base;
    for (const other of neighbours) {
      if (other.offset - offset >= size) break;
      offset = Math.max(offset, other.end);
    }
    placed.push({ ...life, offset, end: offset + size });
    places.set(life.buffer, offset);
    end = Math.max(end, offset + size);
  }
  return end;
}

/** Gives each buffer its own memory from `base` on, `gap` floats behind each. Returns the end. */
export function placeSideBySide(
  buffers: Iterable<Buffer>,
  base: number,
  places: Places,
  gap: number,
): number {
  let end = base;
  for (const buffer of buffers) {
    places.set(buffer, end);
    end += aligned(buffer.size) + gap;
  }
  return end;
}

/** Permanent buffers that the items mention and `places` lacks. */
export function unplacedPermanent(items: readonly Item[], places: Places): Buffer[] {
  const found = new Set<Buffer>();
  for (const item of items) {
    for (const { buffer } of [...writesOf(item), ...readsOf(item)]) {
      if (buffer.permanent && !places.has(buffer)) found.add(buffer);
    }
  }
  return [...found];
}

export function checkArenaSize(size: number): void {
  if (size > arenaElementsMax) {
    throw new LockstepError('LOCKSTEP_OUT_OF_MEMORY',
      `the plan needs ${size} floats, more than the ${arenaElementsMax} one arena can address; use a smaller batch or more workers`); // biome-ignore format: one message
  }
  assert(Number.isSafeInteger(size) && size >= 0, 'the size of an arena is a count');
}
