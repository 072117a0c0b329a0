// Claims that the model has gone bad: when they are believed, and whose is told.

import { beforeEach, expect, it } from 'vitest';
import { Claims } from '../../../coordinator/claims.ts';

let all = new Claims();
beforeEach(() => {
  all = new Claims();
});

const claims = (step: number, workerId: string, rank = 0): boolean => {
  all.add({ workerId, rank, step, phase: 'update', message: `of ${workerId}` });
  return all.isConfirmed;
};

it('believes that the model has gone bad when two say so of one step', () => {
  expect(claims(7, 'a')).toBe(false);
  expect(claims(7, 'a')).toBe(false);
  expect(claims(7, 'b')).toBe(true);
});

it('does not believe two who speak of different steps', () => {
  claims(7, 'a');
  expect(claims(8, 'b')).toBe(false);
});

it('tells the claim of the lowest rank, whichever came first', () => {
  claims(7, 'b', 1);
  claims(7, 'a', 0);
  expect(all.first?.message).toBe('of a');
});

it('forgets a claim once the state after its step is known to be finite', () => {
  claims(7, 'a');
  expect(all.refutedBy(6)).toEqual([]);
  expect(all.refutedBy(7)).toEqual(['a']);
  expect(claims(7, 'b')).toBe(false);
});
