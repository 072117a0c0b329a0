// loadDataset: every kind read, scaled and hashed; every kind of broken file answered with one line.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataSchema } from '../../../src/config/schema-data.ts';
import { type LoadOptions, loadDataset } from '../../../src/data/load.ts';

const parse = dataSchema.parse.bind(dataSchema);

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lockstep-data-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function write(name: string, content: string | Uint8Array): void {
  writeFileSync(join(directory, name), content);
}

const load = (data: unknown, options: Partial<LoadOptions> = {}) =>
  loadDataset(parse(data), { directory, ...options });

describe('idx', () => {
  const images = new Uint8Array([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 255]);
  const labels = new Uint8Array([0, 0, 8, 1, 0, 0, 0, 2, 1, 3]);
  const data = { kind: 'idx', train: { images: 'images', labels: 'labels' } };
  beforeAll(() => {
    write('images', images);
    write('labels.gz', gzipSync(labels));
  });

  test('gzip is told by the first bytes, and .gz is found', async () => {
    const dataset = await load(data);
    expect(dataset).toMatchObject({ inputShape: [1, 2, 1], targetSize: 1, classes: 4 });
    expect(Array.from(dataset.train.inputs)).toEqual([0, 0.2, 0.4, 1].map(Math.fround));
    expect(Array.from(dataset.train.targets)).toEqual([1, 3]);
    expect(dataset.train.inputs.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(dataset.test.samples).toBe(0);
  });

  test('the hash is of shapes and bytes, whatever the files are called', async () => {
    write('same', gzipSync(images));
    const [a, b] = [
      await load(data),
      await load({ ...data, train: { images: 'same', labels: 'labels.gz' } }),
    ];
    expect(a.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(b.sha256).toBe(a.sha256);
    expect((await load({ ...data, scale: 'none' })).sha256).not.toBe(a.sha256);
  });

  const cut = gzipSync(labels).subarray(0, 15);
  test.each([
    [
      { images: 'nothing', labels: 'labels' },
      'LOCKSTEP_DATA_NOT_FOUND',
      'nothing: there is no such file, nor one with .gz; name its directory with --data DIR',
    ],
    [{ images: '.', labels: 'labels' }, 'LOCKSTEP_DATA_NOT_FOUND', ': cannot be read: it is a directory'],
    [
      { images: 'labels', labels: 'images' },
      'LOCKSTEP_DATA_INVALID',
      'labels.gz: holds 1 dimension, not images; is it the file of labels?',
    ],
    [
      { images: 'images', labels: 'cut' },
      'LOCKSTEP_DATA_INVALID',
      'cut: the gzip file is truncated or damaged; copy or download it again',
    ],
  ])('%#', async (train, code, message) => {
    write('cut', cut);
    await expect(load({ kind: 'idx', train })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test('a label that the model has no output for names the file and the sample', async () => {
    const told =
      'label 3 of sample 1, but the model has 3 outputs (classes 0 .. 2); correct the file, or the units of the ' +
      "model's last layer";
    await expect(load(data, { outputs: 3 })).rejects.toMatchObject({
      message: `${join(directory, 'labels.gz')}: ${told}`,
    });
  });
});

describe('csv', () => {
  const data = { kind: 'csv', train: 'train.csv', target: 'y' };
  beforeAll(() => write('train.csv', '\ufeffa, y ,b\n1,10,-1\n3,20,-1\n\n"5",3e1,-1\n'));

  test('columns by name, scaled by the training split; a constant column becomes 0', async () => {
    write('test.csv', 'y,b,a\n7,0,3\n');
    const dataset = await load({ ...data, test: 'test.csv' });
    expect(dataset).toMatchObject({ inputShape: [2], targetSize: 1, classes: 0 });
    const step = Math.fround(2 / Math.sqrt(8 / 3));
    expect(Array.from(dataset.train.inputs)).toEqual([-step, 0, 0, 0, step, 0]);
    expect(Array.from(dataset.train.targets)).toEqual([10, 20, 30]);
    expect(Array.from(dataset.test.inputs)).toEqual([0, 1]);
    expect(Array.from(dataset.test.targets)).toEqual([7]);
  });

  test('several targets, chosen features', async () => {
    const dataset = await load({ ...data, target: ['b', 'a'], features: ['y'], scale: 'none' });
    expect(Array.from(dataset.train.inputs)).toEqual([10, 20, 30]);
    expect(Array.from(dataset.train.targets)).toEqual([-1, 1, -1, 3, -1, 5]);
  });

  test.each([
    ['a,y\n1,2\n3\n', {}, ':3: has 1 values, but the first line names 2 columns'],
    ['a,y\n1,2\n\n3,x\n', {}, ':4: column "y": "x" is not a number of float32'],
    ['a,y\n1,2\n,4\n', {}, ':3: column "a": is empty'],
    ['a,y\n1,1e39\n', {}, ':2: column "y": "1e39" is not a number of float32'],
    ['a,Y\n1,2\n', {}, ': has no column "y"; did you mean "Y"? Its columns are "a", "Y"'],
    ['a,b\n1,2\n', { target: 'price' }, ': has no column "price"; its columns are "a", "b"'],
    ['a,a\n1,2\n', {}, ': two columns are named "a"'],
    ['a,y\n', {}, ': has no rows below the names of the columns'],
    ['', {}, ': is empty; its first line must name the columns'],
    ['y\n1\n', {}, ': has no column besides the target'],
    ['a,y\n1,2\n', { features: ['y'] }, ': column "y" is both a target and a feature'],
    ['a,y\n1,3\n', { classes: 3 }, ':2: column "y": 3 is not a class index 0 .. 2, as "classes": 3 says'],
    ['a,y\n1,0.5\n', { classes: 3 }, ':2: column "y": 0.5 is not a class index 0 .. 2, as "classes": 3 says'],
    [
      'a,y\n1,"2\n',
      {},
      ': not valid CSV: Quote Not Closed: the parsing is finished with an opening quote at line 2',
    ],
  ])('%j', async (text, change, message) => {
    write('bad.csv', text);
    await expect(load({ ...data, ...change, train: 'bad.csv' })).rejects.toMatchObject({
      code: 'LOCKSTEP_DATA_INVALID',
      message: `${join(directory, 'bad.csv')}${message}`,
    });
  });
});

describe('made by the program', () => {
  test('synthetic: normal inputs, targets of every class, the same each time', async () => {
    const data = { kind: 'synthetic', train: 500, test: 3, shape: [3, 2], classes: 4, seed: 5 };
    const dataset = await load(data);
    expect(dataset).toMatchObject({ inputShape: [3, 2], classes: 4, sha256: (await load(data)).sha256 });
    expect(new Set(dataset.train.targets)).toEqual(new Set([0, 1, 2, 3]));
    const mean = dataset.train.inputs.reduce((sum, x) => sum + x, 0) / 3000;
    const variance = dataset.train.inputs.reduce((sum, x) => sum + x * x, 0) / 3000;
    expect(Math.abs(mean)).toBeLessThan(0.06);
    expect(Math.abs(variance - 1)).toBeLessThan(0.1);
    expect(dataset.test.inputs).toHaveLength(18);
  });

  test('digits: pinned, so that every machine trains on the same data', async () => {
    const dataset = await load({ kind: 'digits', train: 100, test: 20 });
    expect(dataset).toMatchObject({ inputShape: [28, 28, 1], targetSize: 1, classes: 10 });
    expect(dataset.sha256).toMatchInlineSnapshot(
      `"797be1c82a57da523fae7109d2afcaa26df09e087ecc7def30a35f99b50ce9f7"`,
    );
  });
});

test('more data than can be is one clear line', async () => {
  const data = { kind: 'digits', train: 2 ** 45 };
  await expect(load(data)).rejects.toMatchObject({
    code: 'LOCKSTEP_OUT_OF_MEMORY',
    message: expect.stringMatching(/^no memory for the data set .*use fewer samples, or a larger machine$/),
  });
});

/** Directory of the four files of MNIST. */
const mnist = process.env.LOCKSTEP_MNIST ?? '';
const pair = (name: string) => ({ images: `${name}-images-idx3-ubyte`, labels: `${name}-labels-idx1-ubyte` });

test.skipIf(mnist === '')(
  `real handwritten digits${mnist === '' ? ' (skipped: LOCKSTEP_MNIST names no directory)' : ''}`,
  async () => {
    const data = { kind: 'idx', train: pair('train'), test: pair('t10k') };
    const dataset = await load(data, { directory: mnist, outputs: 10 });
    expect(dataset).toMatchObject({ inputShape: [28, 28, 1], classes: 10 });
    expect([dataset.train.samples, dataset.test.samples]).toEqual([22_000, 10_000]);
    expect(Array.from(dataset.train.targets.subarray(0, 5))).toEqual([5, 0, 4, 1, 9]);
  },
);
