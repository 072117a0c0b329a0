// Whom a run goes on without, on which evidence, and for how long.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Evidence,
  type Exclusion,
  type Pair,
  whoToExclude,
} from '../../../coordinator/who-to-exclude.ts';

const minuteMs = 60_000;
const members = ['a', 'b', 'c', 'd'];
const nothing: Evidence = { members, certain: [], late: [], pairs: [], before: new Map() };
const pair = (by: string, about: string, kind: Pair['kind'] = 'unreachable'): Pair => ({
  by,
  about,
  kind,
  what: 'x',
});

/** So many times in a row, each when the one before is over; in milliseconds. */
function lengths(evidence: Partial<Evidence>, times: number): number[] {
  const before = new Map<string, Exclusion>();
  let nowMs = 0;
  return Array.from({ length: times }, () => {
    const { exclusions } = whoToExclude(nowMs, { ...nothing, ...evidence, before })!;
    for (const [workerId, exclusion] of exclusions) before.set(workerId, exclusion);
    const untilMs = Math.max(...[...exclusions.values()].map((exclusion) => exclusion.untilMs));
    const ms = untilMs - nowMs;
    nowMs = untilMs;
    return ms;
  });
}

describe('of members that cannot reach each other', () => {
  it.each<[string, Pair[], string]>([
    ['the one that joined later', [pair('a', 'b')], 'b'],
    ['the one of which the other says so, though it joined first', [pair('b', 'a')], 'a'],
    ['the one that joined later, where each says so of the other', [pair('a', 'b'), pair('b', 'a')], 'b'],
    ['the one that cannot reach most', [pair('a', 'b'), pair('c', 'a')], 'a'],
    [
      'the one that cannot reach most, whoever says so',
      [pair('a', 'b'), pair('a', 'c'), pair('a', 'd')],
      'a',
    ],
    [
      'the same, however often it is said',
      [pair('a', 'd'), pair('d', 'a'), pair('b', 'c'), pair('b', 'a')],
      'a',
    ],
  ])('goes %s', (_what, pairs, workerId) => {
    expect(whoToExclude(0, { ...nothing, pairs })).toMatchObject({ workers: [workerId], isCertain: false });
  });

  it('goes the one that could not reach another before, though it joined first', () => {
    const first = whoToExclude(0, { ...nothing, pairs: [pair('a', 'd')] })!;
    expect(first.workers).toEqual(['d']);
    const later = { ...nothing, members: ['a', 'b', 'c'], pairs: [pair('a', 'c')], before: first.exclusions };
    expect(whoToExclude(1_000, later)).toMatchObject({ workers: ['a'] });
  });

  it('goes nobody where nobody complains', () => {
    expect(whoToExclude(0, nothing)).toBeNull();
  });

  it('goes nobody where a connection broke for the first time: all connect anew', () => {
    const pairs = [pair('a', 'b', 'broken')];
    expect(lengths({ pairs }, 3)).toEqual([0, 10_000, 20_000]);
    expect(lengths({ pairs: [...pairs, pair('a', 'b')] }, 1)).toEqual([5_000]);
  });
});

describe('of members that get from each other what cannot be right', () => {
  const decided = (...pairs: Pair[]): readonly string[] | undefined =>
    whoToExclude(0, { ...nothing, pairs })?.workers;

  it('goes the one that most others accuse, for certain', () => {
    const pairs = [pair('a', 'b', 'wrong'), pair('c', 'b', 'wrong')];
    expect(whoToExclude(0, { ...nothing, pairs })).toMatchObject({ workers: ['b'], isCertain: true });
  });

  it('goes nobody on the word of one, whomever that accuses: who accuses may be the one that is wrong', () => {
    expect(decided(pair('a', 'b', 'wrong'))).toBeUndefined();
    expect(decided(...['b', 'c', 'd'].map((about) => pair('a', about, 'wrong')))).toBeUndefined();
    const two: Evidence = { ...nothing, members: ['a', 'b'], pairs: [pair('a', 'b', 'wrong')] };
    expect(whoToExclude(0, two)).toBeNull();
  });

  it('never goes one that fewer than two accuse, or less than half of the others', () => {
    const name = fc.constantFrom(...members);
    const wrong = fc.tuple(name, name).map(([by, about]) => pair(by, about, 'wrong'));
    fc.assert(
      fc.property(fc.array(wrong.filter(({ by, about }) => by !== about)), (pairs) => {
        const [workerId] = decided(...pairs) ?? [];
        const accusers = new Set(pairs.filter(({ about }) => about === workerId).map(({ by }) => by));
        expect(workerId === undefined || accusers.size >= 2).toBe(true);
      }),
    );
  });
});

describe('how long', () => {
  const certain = [{ workerId: 'a', what: 'x' }];
  const late = [{ workerId: 'a', what: 'x', waitedMs: 5 * minuteMs }];

  it('grows with each time up to a limit, from what the worker cost the others', () => {
    expect(lengths({ certain }, 8)).toEqual(
      [5, 10, 20, 40, 80, 160, 300, 300].map((seconds) => seconds * 1_000),
    );
    expect(lengths({ late }, 6)).toEqual([5, 10, 20, 40, 60, 60].map((minutes) => minutes * minuteMs));
  });

  it('is forgotten in time', () => {
    const after = (ms: number): number => {
      const before = new Map([['a', { times: 3, untilMs: 1_000 }]]);
      const nowMs = 1_000 + ms;
      return whoToExclude(nowMs, { ...nothing, certain, before })!.exclusions.get('a')!.untilMs - nowMs;
    };
    expect([0, 4, 5, 9, 10, 15, 90].map((minutes) => after(minutes * minuteMs) / 1_000)).toEqual([
      40, 40, 20, 20, 10, 5, 5,
    ]);
  });

  it('is of each worker its own', () => {
    const before = new Map([['b', { times: 3, untilMs: 0 }]]);
    expect(whoToExclude(0, { ...nothing, certain, before })!.exclusions.get('a')!.untilMs).toBe(5_000);
  });
});
