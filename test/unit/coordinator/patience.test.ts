// How long a worker may be silent, at each moment of its life.

import { expect, it } from 'vitest';
import { Patience } from '../../../coordinator/patience.ts';
import { limits } from '../../../proto/limits.ts';

it('is long while the worker loads or compiles, and short whenever its main thread is free', () => {
  const patience = new Patience();
  const after = (type: Parameters<Patience['heard']>[0]['type']): number => {
    patience.heard({ type });
    return patience.silenceMs;
  };
  const [short, long] = [limits.silenceMs, limits.silenceWhileFormingMs];
  expect(patience.silenceMs).toBe(long);
  expect(after('hello')).toBe(long);
  expect(after('dataRequest')).toBe(long);
  expect(after('ready')).toBe(short); // It has the data set.
  expect(after('standing')).toBe(long);
  expect(after('suspect')).toBe(long);
  expect(after('ready')).toBe(short); // It runs.
  expect(after('report')).toBe(short);
});
