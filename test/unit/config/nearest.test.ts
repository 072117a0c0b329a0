// Edit distance and the nearest word.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearestWord } from '../../../src/config/nearest.ts';

test.each([
  ['kernel', 'kernal', 1],
  ['batch', 'bacth', 1],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
  ['ab', 'ba', 1],
])('%s and %s are %d apart', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

test('is symmetric, zero for equal words alone, and at most the longer length', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});

test.each([
  ['learning_rate', 'learningRate'],
  ['LearningRate', 'learningRate'],
  ['momentom', 'momentum'],
  ['xyz', null],
])('%s was meant to be %s', (word, nearest) => {
  expect(nearestWord(word, ['learningRate', 'momentum', 'beta1'])).toBe(nearest);
});
