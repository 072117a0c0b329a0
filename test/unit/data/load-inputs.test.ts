// Inputs without targets are scaled as the training data was.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSchema } from '../../../src/config/schema-data.ts';
import { loadDataset } from '../../../src/data/load.ts';
import { loadInputs } from '../../../src/data/load-inputs.ts';

let directory: string;
const write = (name: string, content: string | Uint8Array): string => {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
};

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lockstep-inputs-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('CSV', () => {
  const data = dataSchema.parse({ kind: 'csv', train: 'train.csv', test: 'test.csv', target: 'price' });

  it('gives the numbers that the same rows have with their target', async () => {
    write('train.csv', 'size,rooms,price\n10,1,5\n20,2,9\n60,3,20\n');
    write('test.csv', 'size,rooms,price\n15,4,1\n25,5,2\n');
    const file = write('new.csv', 'rooms,size\n4,15\n5,25\n');
    const labelled = await loadDataset(data, { directory });
    const { test, inputShape, targetSize } = await loadInputs(data, { directory, file });
    expect(test.samples).toBe(2);
    expect([...test.inputs]).toEqual([...labelled.test.inputs]);
    expect([...test.targets]).toEqual([0, 0]);
    expect({ inputShape, targetSize }).toEqual({ inputShape: [2], targetSize: 1 });
  });

  it('names a column that is missing', async () => {
    const file = write('less.csv', 'size\n15\n');
    await expect(loadInputs(data, { directory, file })).rejects.toThrow(/less\.csv: has no column "rooms"/);
  });
});

describe('IDX', () => {
  const data = dataSchema.parse({ kind: 'digits' });

  it('divides bytes by 255', async () => {
    const file = write(
      'images',
      Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 255),
    );
    const { test, inputShape } = await loadInputs(data, { directory, file });
    expect(inputShape).toEqual([1, 2, 1]);
    expect([...test.inputs]).toEqual([0, 51 / 255, 102 / 255, 1].map(Math.fround));
  });

  it('refuses a file of labels', async () => {
    const file = write('labels', Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 3, 4));
    await expect(loadInputs(data, { directory, file })).rejects.toThrow(/labels: holds 2 values, not images/);
  });
});
