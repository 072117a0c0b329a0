// Inputs without targets are read by what was fitted on the training data, which may be gone; what does not fit is named.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSchema } from '../../../src/config/schema-data.ts';
import { loadDataset, loadSplit } from '../../../src/data/load.ts';
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

/** An IDX file of `type` with 4 bytes a number unless it is of bytes. */
function idx(shape: readonly number[], values: readonly number[], type: 'uint8' | 'float32' = 'uint8') {
  const size = type === 'uint8' ? 1 : 4;
  const view = new DataView(new ArrayBuffer(4 + 4 * shape.length + size * values.length));
  view.setUint32(0, (type === 'uint8' ? 0x0800 : 0x0d00) + shape.length);
  for (const [i, side] of shape.entries()) view.setUint32(4 + 4 * i, side);
  for (const [i, value] of values.entries()) {
    const at = 4 + 4 * shape.length + size * i;
    if (type === 'uint8') view.setUint8(at, value);
    else view.setFloat32(at, value);
  }
  return new Uint8Array(view.buffer);
}

describe('CSV', () => {
  const data = dataSchema.parse({ kind: 'csv', train: 'train.csv', test: 'test.csv', target: 'price' });
  const load = async () => {
    write('train.csv', 'size,rooms,price\n10,1,5\n20,2,9\n60,3,20\n');
    write('test.csv', 'size,rooms,price\n15,4,1\n25,5,2\n');
    const dataset = await loadDataset(data, { directory });
    rmSync(join(directory, 'train.csv'));
    return dataset;
  };

  it('gives the numbers that the same rows have with their target, in any order of the columns', async () => {
    const labelled = await load();
    const { split, notices } = await loadInputs(
      labelled.fitted,
      write('new.csv', 'rooms,size\n4,15\n5,25\n'),
    );
    expect(split.samples).toBe(2);
    expect([...split.inputs]).toEqual([...labelled.test.inputs]);
    expect([...split.targets]).toEqual([0, 0]);
    expect(notices).toEqual([]);
  });

  it('names columns that it does not use, once', async () => {
    const { fitted, test } = await load();
    const file = write('more.csv', 'id,rooms,"a, b",size\n7,4,8,15\n8,5,9,25\n');
    const { split, notices } = await loadInputs(fitted, file);
    expect([...split.inputs]).toEqual([...test.inputs]);
    expect(notices).toEqual([`${file}: the model does not use the columns "id", "a, b"`]);
  });

  it.each([
    ['size\n15\n', ': has no column "rooms"; its columns are "size"'],
    ['size,Room\n15,4\n', ': has no column "rooms"; did you mean "Room"? Its columns are "size", "Room"'],
    [
      '15,4\n25,5\n',
      ': its first line holds numbers ("15", "4"), but it must name the columns; put a line with their names on top',
    ],
    [
      '1e3,1e3\n25,5\n',
      ': its first line holds numbers ("1e3", "1e3"), but it must name the columns; put a line with their names on top',
    ],
    ['', ': is empty; its first line must name the columns'],
    ['size,rooms\n', ': has no rows below the names of the columns'],
    ['size,rooms\n15,x\n', ':2: column "rooms": "x" is not a number of float32'],
  ])('%j is refused', async (text, message) => {
    const { fitted } = await load();
    const file = write('bad.csv', text);
    await expect(loadInputs(fitted, file)).rejects.toMatchObject({
      code: 'LOCKSTEP_DATA_INVALID',
      message: `${file}${message}`,
    });
  });

  it('a value that float32 cannot hold once it is scaled is named', async () => {
    write('narrow.csv', 'size,price\n0,5\n1e-12,9\n');
    const narrow = dataSchema.parse({ kind: 'csv', train: 'narrow.csv', target: 'price' });
    const { fitted } = await loadDataset(narrow, { directory });
    const file = write('wide.csv', 'size\n0\n1e30\n');
    await expect(loadInputs(fitted, file)).rejects.toMatchObject({
      message: `${file}: sample 1, column "size": 1e+30 becomes Infinity when it is scaled; correct the value`,
    });
  });

  it('a file that is not there is named without a word of training data', async () => {
    const { fitted } = await load();
    await expect(loadInputs(fitted, join(directory, 'none.csv'))).rejects.toMatchObject({
      code: 'LOCKSTEP_DATA_NOT_FOUND',
      message: `${join(directory, 'none.csv')}: there is no such file, nor one with .gz`,
    });
  });
});

describe('IDX', () => {
  const pair = (name: string) => ({ images: `${name}-images`, labels: `${name}-labels` });
  const data = dataSchema.parse({ kind: 'idx', train: pair('train'), test: pair('test') });
  const load = async () => {
    write('train-images', idx([2, 1, 2], [0, 51, 102, 255]));
    write('train-labels', idx([2], [0, 1]));
    write('test-images', idx([1, 1, 2], [7, 8]));
    write('test-labels', idx([1], [1]));
    return loadDataset(data, { directory });
  };

  it('divides bytes by 255', async () => {
    const { fitted } = await load();
    const { split } = await loadInputs(fitted, write('images', idx([2, 1, 2], [0, 51, 102, 255])));
    expect([...split.inputs]).toEqual([0, 51 / 255, 102 / 255, 1].map(Math.fround));
  });

  it.each([
    [idx([2], [3, 4]), 'holds 2 values, not images'],
    [idx([1, 2, 2], [1, 2, 3, 4]), 'images are 2 x 2, but the model takes 1 x 2 x 1'],
    [
      idx([1, 1, 2], [0.5, 1], 'float32'),
      'holds numbers that are not bytes, but the training images are bytes, and "scale": "unit" divides bytes alone, by 255; ' +
        'store both as the same type',
    ],
    [
      idx([1, 1, 2], [0, Number.NaN], 'float32'),
      'NaN in sample 0 is not a number of float32; correct the value',
    ],
  ])('refuses what is not as the training images: %#', async (bytes, message) => {
    const { fitted } = await load();
    const file = write('other', bytes);
    await expect(loadInputs(fitted, file)).rejects.toMatchObject({ message: `${file}: ${message}` });
  });

  it('a split is read without the other, and a class that the run did not have is named', async () => {
    const { fitted, test } = await load();
    rmSync(join(directory, 'train-images'));
    const options = { directory, outputs: 10 };
    expect(await loadSplit(data, 'test', fitted, options)).toEqual({ split: test, notices: [] });
    write('test-labels', idx([1], [4]));
    expect((await loadSplit(data, 'test', fitted, options)).notices).toEqual([
      `${join(directory, 'test-images')}: has class 4, but the run was trained on classes 0 .. 1`,
    ]);
    write('test-labels', idx([1], [12]));
    await expect(loadSplit(data, 'test', fitted, options)).rejects.toThrow(
      /test-labels: label 12 of sample 0, but the model has 10 outputs/,
    );
  });

  it('images of another size in the split are refused', async () => {
    const { fitted } = await load();
    write('test-images', idx([1, 2, 2], [7, 8, 9, 10]));
    await expect(loadSplit(data, 'test', fitted, { directory })).rejects.toThrow(
      /test-images: samples are 2 x 2 x 1, but the model takes 1 x 2 x 1/,
    );
  });
});
