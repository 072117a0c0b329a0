// parseIdx: what it reads, and what it says of each kind of broken file.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pairImagesWithLabels, parseIdx } from '../../../src/data/idx.ts';

/** An IDX file of bytes. */
function idx(shape: readonly number[], values: readonly number[], type = 8): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + values.length);
  bytes.set([0, 0, type, shape.length]);
  shape.forEach((dimension, i) => {
    new DataView(bytes.buffer).setUint32(4 + 4 * i, dimension);
  });
  bytes.set(values, 4 + 4 * shape.length);
  return bytes;
}

test('reads back what was written, at any place of a buffer', () => {
  const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(shapes, fc.integer({ min: 0, max: 3 }), (shape, shift) => {
      const count = shape.reduce((product, dimension) => product * dimension, 1);
      const values = Array.from({ length: count }, (_, i) => i % 256);
      const file = idx(shape, values);
      const buffer = new Uint8Array(file.length + shift);
      buffer.set(file, shift);
      const array = parseIdx(buffer.subarray(shift), 'a');
      expect(array.shape).toEqual(shape);
      expect(Array.from(array.values)).toEqual(values);
    }),
  );
});

test('reads big-endian float32', () => {
  const array = parseIdx(idx([2], [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0], 0x0d), 'a');
  expect(Array.from(array.values)).toEqual([1, -2]);
  expect(array.unit).toBe(1);
});

test.each([
  [new Uint8Array(), 'a: not an IDX file: it starts with nothing, not 00 00 08 01 or the like'],
  [
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1]),
    'a: not an IDX file: it starts with 89 50 4e 47, not 00 00 08 01 or the like',
  ],
  [
    new Uint8Array([0, 0, 7, 1]),
    'a: not an IDX file: it starts with 00 00 07 01, not 00 00 08 01 or the like',
  ],
  [new Uint8Array([0, 0, 8, 9]), 'a: has 9 dimensions; 1 to 4 are possible'],
  [new Uint8Array([0, 0, 8, 0]), 'a: has 0 dimensions; 1 to 4 are possible'],
  [
    new Uint8Array([0, 0, 8, 2, 0, 0, 0, 1]),
    'a: is truncated: it ends inside its header; copy or download it again',
  ],
  [
    idx([2, 3], [1, 2, 3, 4, 5]),
    'a: is truncated: the header says 2 x 3 values, so 18 bytes, but it has 17; copy or download it again',
  ],
  [idx([2], [1, 2, 3]), 'a: has 1 bytes too many: the header says 2 values, so 10 bytes, but it has 11'],
  [
    idx([0xffffffff, 0xffffffff, 0xffffffff], []),
    'a: is truncated: the header says 4294967295 x 4294967295 x 4294967295 values, so 7.9228162458924105e+28 bytes, ' +
      'but it has 16; copy or download it again',
  ],
])('%#', (bytes, message) => {
  expect(() => parseIdx(bytes, 'a')).toThrow(
    expect.objectContaining({ code: 'LOCKSTEP_DATA_INVALID', message }),
  );
});

const images = parseIdx(idx([2, 1, 2], [1, 2, 3, 4]), 'i');
const labels = parseIdx(idx([2], [0, 9]), 'l');

test('images and labels that belong together', () => {
  expect(pairImagesWithLabels(images, 'i', labels, 'l')).toMatchObject({ samples: 2, inputShape: [1, 2, 1] });
});

test.each([
  [images, parseIdx(idx([3], [0, 1, 2]), 'l'), 'l: has 3 labels, but i has 2 images'],
  [labels, labels, 'i: holds 1 dimension, not images; is it the file of labels?'],
  [images, images, 'l: holds 3 dimensions, not labels; is it the file of images?'],
  [images, parseIdx(idx([2], [0, 0xff], 9), 'l'), 'l: label -1 of sample 1 is not a class index'],
  [parseIdx(idx([0, 2, 2], []), 'i'), parseIdx(idx([0], []), 'l'), 'i: has no images'],
])('%#', (first, second, message) => {
  expect(() => pairImagesWithLabels(first, 'i', second, 'l')).toThrow(expect.objectContaining({ message }));
});
