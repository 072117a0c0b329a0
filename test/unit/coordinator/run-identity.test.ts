// The identity of a run does not depend on where what was fitted comes from: just fitted, or read from a file.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { identityOf } from '../../../coordinator/run-identity.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { type Fitted, fitData, fittedSchema } from '../../../src/data/fitted.ts';
import { emptySplit } from '../../../src/data/raw.ts';

const config = parseConfig(
  {
    data: { kind: 'synthetic', train: 4, shape: [2], classes: 3 },
    model: { input: [2], layers: [{ type: 'dense', units: 3 }] },
    loss: 'softmaxCrossEntropy',
    optimizer: { type: 'sgd' },
  },
  'test',
);
const hashOf = (fitted: Fitted): string =>
  identityOf({ config, dataset: { sha256: 'd'.repeat(64), fitted } }).fittedSha256;

const fitted = (values: readonly number[], scale: 'standard' | 'unit' | 'none'): Fitted =>
  fitData(
    {
      inputShape: [2],
      targetSize: 1,
      classes: 0,
      columns: { features: ['a', 'b'], targets: ['y'] },
      unit: 255,
      notices: [],
      train: { ...emptySplit, samples: values.length / 2, inputs: Float64Array.from(values) },
      test: emptySplit,
    },
    scale,
  );
const drawn = fc.record({
  values: fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 4, maxLength: 4 }),
  scale: fc.constantFrom('standard' as const, 'unit' as const, 'none' as const),
});

/** The same value with the keys of all its objects in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => [key, reversed(each)]);
  return Object.fromEntries(entries.toReversed());
}

it('is the same for what was fitted, what was parsed, and any order of keys', () => {
  fc.assert(
    fc.property(drawn, ({ values, scale }) => {
      const made = fitted(values, scale);
      const stored: unknown = JSON.parse(JSON.stringify(made));
      expect(hashOf(fittedSchema.parse(stored))).toBe(hashOf(made));
      expect(hashOf(reversed(stored) as Fitted)).toBe(hashOf(made));
    }),
  );
});

it('is another for other names and other units', () => {
  const made = fitted([1, 2, 3, 4], 'unit');
  const others: Fitted[] = [
    { ...made, columns: { features: ['b', 'a'], targets: ['y'] } },
    { ...made, inputs: [{ method: 'unit', divisor: 1 }] },
  ];
  expect(new Set([made, ...others].map(hashOf)).size).toBe(3);
});
