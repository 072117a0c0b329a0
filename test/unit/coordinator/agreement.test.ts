// Digests of the members of a generation: what they show when.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Agreement } from '../../../coordinator/agreement.ts';

it('is there when all have told the same', () => {
  const agreement = new Agreement(2);
  expect(agreement.tell(0, 7, 1)).toEqual({ is: 'open' });
  expect(agreement.isAgreed(7)).toBe(false);
  expect(agreement.tell(1, 7, 1)).toEqual({ is: 'agreed' });
  expect(agreement.tell(1, 7, 1)).toEqual({ is: 'agreed' });
  expect(agreement.isAgreed(7)).toBe(true);
});

it('is not there for a step of which one has told nothing', () => {
  const agreement = new Agreement(2);
  agreement.tell(0, 7, 1);
  expect(agreement.tell(1, 8, 1)).toEqual({ is: 'open' });
});

it('shows two unlike digests that one member told of one step', () => {
  const agreement = new Agreement(2);
  agreement.tell(0, 7, 1);
  expect(agreement.tell(0, 7, 2)).toEqual({ is: 'unlike' });
  expect(agreement.digestOf(0, 7)).toBe(1);
});

it('names those that a strict majority of all contradicts, once all have told', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 7 }), (digests) => {
      const agreement = new Agreement(digests.length);
      const last = digests.map((digest, rank) => agreement.tell(rank, 1, digest)).at(-1)!;
      const count = (digest: number): number => digests.filter((each) => each === digest).length;
      const majority = digests.find((digest) => 2 * count(digest) > digests.length);
      const odd = digests.flatMap((digest, rank) =>
        majority === undefined || digest === majority ? [] : [rank],
      );
      expect(last).toEqual(new Set(digests).size === 1 ? { is: 'agreed' } : { is: 'different', odd });
    }),
  );
});

it('shows a difference before all have told, and names nobody', () => {
  const agreement = new Agreement(3);
  agreement.tell(0, 1, 1);
  expect(agreement.tell(1, 1, 2)).toEqual({ is: 'different', odd: null });
});

it('is there for the others, however many digests one tells', () => {
  const agreement = new Agreement(2);
  agreement.tell(0, 1, 1);
  for (let step = 2; step < 10_000; step += 1) agreement.tell(1, step, 1);
  expect(agreement.tell(1, 1, 1)).toEqual({ is: 'agreed' });
  expect(agreement.digestOf(0, 1)).toBe(1);
});
