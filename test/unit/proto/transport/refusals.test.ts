// When strangers are told that they are not let in: at once at first, then one after another, each host for itself.

import { expect, it } from 'vitest';
import { limits } from '../../../../proto/limits.ts';
import { Refusals } from '../../../../proto/transport/refusals.ts';

it('tells the first at once, and the others one after another', async () => {
  const refusals = new Refusals();
  const told: number[] = [];
  const late = 5;
  const startedMs = performance.now();
  const all = Array.from(
    { length: limits.refusalsAtOnce + late },
    (_, which) =>
      new Promise<void>((resolve) =>
        refusals.tell('a', () => {
          told.push(which);
          resolve();
        }),
      ),
  );
  expect(told).toHaveLength(limits.refusalsAtOnce);
  let otherIsTold = false;
  refusals.tell('b', () => {
    otherIsTold = true;
  });
  expect(otherIsTold).toBe(true);
  await Promise.all(all);
  expect(told).toEqual(all.map((_, which) => which));
  // A timer may come a millisecond early.
  expect(performance.now() - startedMs).toBeGreaterThan((late - 1) * limits.refusalIntervalMs);
});

it('remembers so many hosts and no more, the newest of them', () => {
  const refusals = new Refusals();
  const count = (host: string, times: number): number => {
    let told = 0;
    for (let i = 0; i < times; i += 1) {
      refusals.tell(host, () => {
        told += 1;
      });
    }
    return told;
  };
  expect(count('first', limits.refusalsAtOnce + 1)).toBe(limits.refusalsAtOnce);
  // As often as they may at once: what each is remembered for does not pass while the others come, on a slow core either.
  for (let i = 0; i < limits.refusedHostsMax; i += 1) count(`host ${i}`, limits.refusalsAtOnce);
  // It was forgotten, and so may begin anew.
  expect(count('first', 1)).toBe(1);
  expect(count('last', 2 * limits.refusalsAtOnce)).toBe(limits.refusalsAtOnce);
  count('one more', 1);
  expect(count('last', 1)).toBe(0);
});
