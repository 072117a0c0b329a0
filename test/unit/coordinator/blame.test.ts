// Verdicts on numbers that are not finite, and exclusions that grow.

import { beforeEach, expect, it } from 'vitest';
import { Blame } from '../../../coordinator/blame.ts';

let blame = new Blame(new Map());
beforeEach(() => {
  blame = new Blame(new Map());
});

const claims = (step: number, workerId: string, rank = 0): boolean => {
  blame.claims.add({ workerId, rank, step, phase: 'update', message: `of ${workerId}` });
  return blame.claims.isConfirmed;
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
  expect(blame.claims.first?.message).toBe('of a');
});

it('forgets a claim once the state after its step is known to be finite', () => {
  claims(7, 'a');
  expect(blame.claims.refutedBy(6)).toEqual([]);
  expect(blame.claims.refutedBy(7)).toEqual(['a']);
  expect(claims(7, 'b')).toBe(false);
});

it('has a doubted step looked at, and the one after it, and no other', () => {
  expect(blame.verifies(7, 2)).toBe(false);
  expect(blame.doubts(7, 2, 'a')).toBe('verify');
  expect([6, 7, 8, 9].map((step) => blame.verifies(step, 3))).toEqual([false, true, true, false]);
});

it('takes it for the model where a step was looked at and nobody sent anything wrong', () => {
  blame.doubts(7, 2, 'a');
  blame.verifies(7, 3);
  expect(blame.doubts(7, 3, 'b')).toBe('notFinite');
});

it('does not take it for the model where the same worker doubts it again', () => {
  blame.doubts(7, 2, 'a');
  blame.verifies(8, 3);
  expect(blame.doubts(8, 3, 'a')).toBe('doubter');
  blame.verifies(8, 4);
  expect(blame.doubts(8, 4, 'b')).toBe('notFinite');
});

it('does not take it for the model where another doubted a step long before', () => {
  blame.doubts(4, 2, 'b');
  blame.lookAt(60);
  blame.verifies(60, 3);
  expect(blame.doubts(60, 3, 'a')).toBe('doubter');
  blame.verifies(60, 4);
  expect(blame.doubts(60, 4, 'c')).toBe('notFinite');
});

it('has the step looked at again in a generation that could not', () => {
  blame.doubts(7, 2, 'a');
  blame.verifies(6, 3);
  expect(blame.doubts(7, 3, 'b')).toBe('verify');
});

it('keeps a worker out twice as long each time, up to a limit', () => {
  const ms = Array.from({ length: 9 }, () => blame.exclusions.exclude('a'));
  expect(ms).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  expect(blame.exclusions.exclude('b')).toBe(5_000);
});

it('lets a first broken connection pass, and takes verdicts back in time', () => {
  const { exclusions } = blame;
  expect(exclusions.pardons('a')).toBe(true);
  expect(exclusions.refusalOf('a')).toBeNull();
  expect(exclusions.pardons('a')).toBe(false);
  expect(exclusions.exclude('a')).toBe(10_000);
  expect(exclusions.refusalOf('a')?.code).toBe('LOCKSTEP_CONNECT_FAILED');
  const later = (kind: 'exclusion' | 'pardon') => exclusions.due({ kind, workerId: 'a' });
  expect(later('exclusion')).toMatchObject([{ do: 'setTimer', timer: { kind: 'pardon' } }]);
  expect(exclusions.refusalOf('a')).toBeNull();
  later('pardon');
  expect(exclusions.exclude('a')).toBe(10_000);
  for (let i = 0; i < 2; i += 1) later('pardon');
  expect(exclusions.pardons('a')).toBe(true);
});
