// What is fitted on the training data, over random tables: rows are scaled to the same bytes in whatever file they come, the
// training file is not needed any more, and a standardised column is standardised in float64.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkpointOfTensors, tensorsOfCheckpoint } from '../../../src/checkpoint/state.ts';
import { dataSchema } from '../../../src/config/schema-data.ts';
import { applyFitted, type Fitted, fitData } from '../../../src/data/fitted.ts';
import { loadDataset, loadSplit } from '../../../src/data/load.ts';
import { loadInputs } from '../../../src/data/load-inputs.ts';
import { emptySplit, type RawDataset } from '../../../src/data/raw.ts';
import { type Column, csvText, type Table, tables } from './tables.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lockstep-fitted-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const path = (name: string): string => join(directory, name);
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** As a checkpoint keeps it. */
function fromCheckpoint(fitted: Fitted): Fitted {
  const hash = 'd'.repeat(64);
  const checkpoint = {
    ...{ step: 1, seed: 1, config: {}, fingerprint: '', datasetSha256: hash, trainSha256: hash, fitted },
    ...{ parameters: [], statistics: [], slots: [], metrics: {}, previousSha256: null },
  };
  return checkpointOfTensors(tensorsOfCheckpoint(checkpoint)).fitted;
}

/** The bytes of the chosen rows of [rows, width]. */
function bytesOfRows(floats: Float32Array, rows: readonly number[], width: number): Buffer {
  const chosen = rows.flatMap((row) => [...floats.subarray(row * width, (row + 1) * width)]);
  return Buffer.from(Float32Array.from(chosen).buffer);
}

interface Story {
  readonly table: Table;
  /** The columns in the order of the file of inputs, with columns of its own. */
  readonly order: readonly Column[];
  readonly subset: readonly number[];
  readonly held: number;
  readonly scale: 'standard' | 'none';
}

const stories: fc.Arbitrary<Story> = tables.chain((table) =>
  fc
    .tuple(
      fc.shuffledSubarray([...table.features], { minLength: table.features.length }),
      fc.boolean(),
      fc.array(fc.nat(table.rows - 1), { minLength: 1, maxLength: 60 }),
      fc.nat(Math.max(0, table.rows - 1)),
      fc.constantFrom('standard' as const, 'none' as const),
    )
    .map(([features, hasTarget, subset, held, scale]) => {
      const order = hasTarget ? [table.target, ...features] : features;
      return { table, order, subset, held, scale };
    }),
);

test('any rows in any order of the columns give the bytes of training, without the training file', async () => {
  await fc.assert(
    fc.asyncProperty(stories, async ({ table, order, subset, held, scale }) => {
      const { features, target, rows } = table;
      const all = range(rows);
      const data = dataSchema.parse({
        ...{ kind: 'csv', train: 'train.csv', target: target.name, scale },
        ...(held > 0 ? { test: 'test.csv' } : {}),
      });
      writeFileSync(path('train.csv'), csvText([...features, target], all));
      if (held > 0) writeFileSync(path('test.csv'), csvText([target, ...features], all.slice(0, held)));
      const dataset = await loadDataset(data, { directory });
      const width = features.length;
      expect(dataset.fitted.columns).toEqual({
        features: features.map(({ name }) => name),
        targets: [target.name],
      });
      const fitted = fromCheckpoint(dataset.fitted);
      expect(fitted).toEqual(dataset.fitted);

      writeFileSync(path('inputs.csv'), csvText(order, subset));
      const expected = bytesOfRows(dataset.train.inputs, subset, width);
      const inputs = async () => Buffer.from((await loadInputs(fitted, path('inputs.csv'))).split.inputs);
      const floats = await loadInputs(fitted, path('inputs.csv'));
      expect(Buffer.from(Float32Array.from(floats.split.inputs).buffer).equals(expected)).toBe(true);
      expect(floats.notices).toHaveLength(order.length > width ? 1 : 0);

      const before = await inputs();
      writeFileSync(path('train.csv'), csvText([...features, target], [0]));
      expect((await inputs()).equals(before)).toBe(true);
      const shortened = await loadSplit(data, 'train', fitted, { directory });
      expect([...shortened.split.inputs]).toEqual([...dataset.train.inputs.subarray(0, width)]);
      rmSync(path('train.csv'));
      expect((await inputs()).equals(before)).toBe(true);
      if (held === 0) return;
      const { split } = await loadSplit(data, 'test', fitted, { directory });
      expect(split).toEqual(dataset.test);
    }),
    { numRuns: 300 },
  );
}, 120_000);

const statistics = (values: readonly number[]) => {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
};

function rawOf(columns: readonly Column[], rows: number): RawDataset {
  const inputs = Float64Array.from(range(rows).flatMap((row) => columns.map(({ values }) => values[row]!)));
  const train = { source: 'table', samples: rows, inputs, targets: new Float64Array(rows) };
  const shapes = { inputShape: [columns.length], targetSize: 1, classes: 0, columns: null };
  return { ...shapes, train, test: emptySplit, unit: 1, notices: [] };
}

test('a standardised column has mean 0 and deviation 1 in float64; a constant one is 0 and stays near it', () => {
  fc.assert(
    fc.property(tables, ({ features, rows }) => {
      const fitted = fitData(rawOf(features, rows), 'standard');
      const [step] = fitted.inputs;
      if (step?.method !== 'standard') throw new Error('it is not standardised');
      features.forEach(({ values }, i) => {
        const [shift, divisor] = [step.means[i]!, step.deviations[i]!];
        const scaled = values.map((x) => (x - shift) / divisor);
        if (values.every((x) => x === values[0])) {
          expect({ shift, divisor, zeros: scaled.every((x) => x === 0) }).toEqual({
            shift: values[0]! + 0,
            divisor: 1,
            zeros: true,
          });
          return;
        }
        // The mean itself is rounded to float64: a column cannot be centred better than that.
        const roundings = (4 * Number.EPSILON * Math.max(...values.map(Math.abs))) / divisor;
        const found = statistics(scaled);
        expect(Math.abs(found.mean)).toBeLessThanOrEqual(1e-12 + roundings);
        expect(Math.abs(found.deviation - 1)).toBeLessThanOrEqual(1e-12 + roundings);
      });
    }),
    { numRuns: 1000 },
  );
});

test('timestamps keep their distinct values: they are rounded to float32 after they are scaled', async () => {
  const seconds = range(49).map((i) => 1_700_000_000 + 7 * i);
  const columns = [
    { name: 'time', values: seconds },
    { name: 'y', values: seconds.map(() => 0) },
  ];
  writeFileSync(path('times.csv'), csvText(columns, range(49)));
  const data = dataSchema.parse({ kind: 'csv', train: 'times.csv', target: 'y' });
  const { train } = await loadDataset(data, { directory });
  expect(new Set(train.inputs).size).toBe(49);
});

test.each([
  ['int32', 12, (view: DataView, at: number, x: number) => view.setInt32(at, x), 4],
  ['float64', 14, (view: DataView, at: number, x: number) => view.setFloat64(at, x), 8],
] as const)('so do values of IDX files of %s', async (_, type, set, size) => {
  const view = new DataView(new ArrayBuffer(12 + 49 * size));
  view.setUint32(0, type * 256 + 2);
  view.setUint32(4, 49);
  view.setUint32(8, 1);
  for (const i of range(49)) set(view, 12 + i * size, 1_700_000_000 + 7 * i);
  writeFileSync(path('times-images'), new Uint8Array(view.buffer));
  writeFileSync(path('times-labels'), Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 49, ...new Array(49).fill(0)));
  const train = { images: 'times-images', labels: 'times-labels' };
  const dataset = await loadDataset(dataSchema.parse({ kind: 'idx', train, scale: 'standard' }), {
    directory,
  });
  expect(new Set(dataset.train.inputs).size).toBe(49);
});

test('channels of images are scaled each by its own numbers, across blocks of any size', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 3, 7), fc.integer({ min: 1, max: 40_000 }), (channels, pixels) => {
      const inputs = Uint8Array.from(
        { length: channels * pixels },
        (_, i) => (i * 31 + (i % channels)) % 256,
      );
      const train = { source: 'images', samples: 1, inputs, targets: new Uint8Array(1) };
      const shapes = { inputShape: [pixels, 1, channels], targetSize: 1, classes: 2, columns: null };
      const raw = { ...shapes, train, test: emptySplit, unit: 255, notices: [] };
      const fitted = fitData(raw, 'standard');
      const [step] = fitted.inputs;
      if (step?.method !== 'standard') throw new Error('it is not standardised');
      const scaled = applyFitted(fitted, train);
      const wrong = scaled.findIndex(
        (x, i) =>
          x !== Math.fround((inputs[i]! - step.means[i % channels]!) / step.deviations[i % channels]!),
      );
      expect(wrong).toBe(-1);
      for (const [channel, mean] of step.means.entries())
        expect(mean).toBeCloseTo(statistics([...inputs].filter((_, i) => i % channels === channel)).mean, 9);
    }),
    { numRuns: 15 },
  );
});
