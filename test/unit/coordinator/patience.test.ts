// How long a worker may be silent, at each moment of its life.

import { expect, it } from 'vitest';
import { Patience } from '../../../coordinator/patience.ts';
import { limits } from '../../../proto/limits.ts';

const onceCompiledMs = 6_000;
const [short, long] = [limits.silenceMs, limits.silenceWhileFormingMs];

function story(): {
  readonly patience: Patience;
  after(type: Parameters<Patience['heard']>[0]['type']): number;
} {
  const patience = new Patience(() => onceCompiledMs);
  return {
    patience,
    after: (type) => {
      patience.heard({ type });
      return patience.silenceMs;
    },
  };
}

it('is long while the worker loads or compiles, and short whenever its main thread is free', () => {
  const { patience, after } = story();
  expect(patience.silenceMs).toBe(long);
  expect(after('hello')).toBe(long);
  patience.lives();
  expect(after('dataRequest')).toBe(long);
  expect(after('ready')).toBe(short); // It has the data set.
  expect(after('standing')).toBe(long);
  expect(after('ready')).toBe(short); // It runs.
  expect(after('report')).toBe(short);
  patience.lives();
  expect(patience.silenceMs).toBe(short);
});

it('is that of a worker which heals as soon as it is heard after its standing', () => {
  const { patience, after } = story();
  after('ready');
  after('standing');
  patience.lives();
  expect(patience.silenceMs).toBe(onceCompiledMs);
  expect(after('standing')).toBe(long); // Of the next membership, for which it compiles again.
  expect(after('suspect')).toBe(onceCompiledMs);
  expect(after('ready')).toBe(short);
});
