// What must hold of a list of items after each pass of the compiler; a failure is a bug of the compiler.

import { assert } from '../errors.ts';
import { type Buffer, type Item, type Reference, readsOf, writesOf } from './instructions.ts';
import type { Places } from './plan.ts';

/** Every read of a buffer that is not permanent follows a write; references lie inside their buffers. */
export function verifyItems(items: readonly Item[], pass: string, written = new Set<Buffer>()): void {
  items.forEach((item, index) => {
    const where = `after ${pass}, item ${index} (${item.kind === 'kernel' ? item.kernel : item.kind})`;
    for (const reference of readsOf(item)) {
      checkInside(reference, where);
      const { buffer } = reference;
      assert(buffer.permanent || written.has(buffer), `${where} reads ${buffer.name} behind its writer`);
    }
    for (const reference of writesOf(item)) {
      checkInside(reference, where);
      written.add(reference.buffer);
    }
  });
}

/** Every buffer has a place, and none ends behind the arena. */
export function verifyPlaces(items: readonly Item[], places: Places, end: number): void {
  for (const item of items) {
    for (const { buffer } of [...readsOf(item), ...writesOf(item)]) {
      const offset = places.get(buffer);
      assert(offset !== undefined && offset + buffer.size <= end, `${buffer.name} has a place in the arena`);
    }
  }
}

function checkInside({ buffer, from, size, repeat }: Reference, where: string): void {
  const last = repeat ? from + size + Math.max(0, repeat.count - 1) * repeat.stride : from + size;
  const empty = repeat?.count === 0;
  assert(from >= 0 && (empty || last <= buffer.size), `${where}: a part of ${buffer.name} lies inside of it`);
}
