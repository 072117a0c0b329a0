// The drawn digits: the same bytes everywhere and always, each image by itself, classes even.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { drawDigits } from '../../../src/data/digits.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('the bytes are pinned: a change here changes every result of `npm start`', () => {
  const { images, labels } = drawDigits(500, 1, 0);
  expect([sha256(images), sha256(labels)]).toMatchInlineSnapshot(`
    [
      "4adb3a5536690a3f73dcc4a8652b045a6b806a2adbc51270eb9ed98eada6377b",
      "69f96d05e7eb21b39af59fcef84fea4ce1da356e52d30d9ab23f84e50eb1cae8",
    ]
  `);
});

test('an image depends on its number, the seed and the part alone', () => {
  const few = drawDigits(20, 7, 0);
  const more = drawDigits(50, 7, 0);
  expect(more.images.subarray(0, few.images.length)).toEqual(few.images);
  expect(more.labels.subarray(0, 20)).toEqual(few.labels);
  expect(drawDigits(20, 7, 1).images).not.toEqual(few.images);
  expect(drawDigits(20, 8, 0).images).not.toEqual(few.images);
});

test('every class comes up about as often', () => {
  const counts = new Array<number>(10).fill(0);
  for (const label of drawDigits(2000, 3, 0).labels) counts[label]! += 1;
  for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(60);
});

test('every image has ink and paper, and no two are the same', () => {
  const { images } = drawDigits(300, 5, 0);
  const seen = new Set<string>();
  for (let i = 0; i < 300; i += 1) {
    const image = images.subarray(i * 784, (i + 1) * 784);
    seen.add(sha256(image));
    expect(Math.max(...image)).toBeGreaterThan(120);
    expect(image.filter((pixel) => pixel < 80).length).toBeGreaterThan(392);
  }
  expect(seen.size).toBe(300);
});
