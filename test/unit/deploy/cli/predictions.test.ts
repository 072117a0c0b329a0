// Predictions as text.

import { describe, expect, it } from 'vitest';
import {
  csvHeader,
  largestIndex,
  predictionCsv,
  predictionJson,
  softmax,
} from '../../../../deploy/cli/predictions.ts';

const classes = { loss: 'softmaxCrossEntropy', outputs: 3, targets: null } as const;
const binary = { loss: 'sigmoidCrossEntropy', outputs: 1, targets: null } as const;
const values = { loss: 'meanSquaredError', outputs: 2, targets: null } as const;
const named = { ...values, targets: ['price', 'a "b", c'] };

describe('softmax', () => {
  it('gives probabilities, also of logits that would overflow', () => {
    expect(softmax([0, 0])).toEqual([0.5, 0.5]);
    expect(softmax([1000, 0, -1000])).toEqual([1, 0, 0]);
    expect(softmax([1, 2, 3]).reduce((sum, value) => sum + value)).toBeCloseTo(1, 14);
  });

  it('takes the first of equal classes', () => expect(largestIndex([0.2, 0.4, 0.4])).toBe(1));
});

describe('csv', () => {
  it('has a header by loss', () => {
    expect(csvHeader(classes)).toBe('sample,class,probability0,probability1,probability2');
    expect(csvHeader(binary)).toBe('sample,probability');
    expect(csvHeader(values)).toBe('sample,value0,value1');
  });

  it('names values as the columns that they predict, where names stay apart', () => {
    expect(csvHeader(named)).toBe('sample,price,"a ""b"", c"');
    expect(csvHeader({ ...named, targets: ['price', 'sample'] })).toBe('sample,value0,value1');
  });

  it('has a line a sample', () => {
    expect(predictionCsv(7, [0, 0, -1000], classes)).toBe('7,0,0.5,0.5,0');
    expect(predictionCsv(8, [0], binary)).toBe('8,0.5');
    expect(predictionCsv(9, [1.5, -2.000_000_4], values)).toBe('9,1.5,-2.0000005');
    expect(predictionCsv(9, [1_234_003.25, -0], named)).toBe('9,1234003.3,-0');
  });
});

describe('ndjson', () => {
  it('has an object a sample', () => {
    expect(JSON.parse(predictionJson(7, [0, 1000, 0], classes))).toEqual({
      sample: 7,
      class: 1,
      probabilities: [0, 1, 0],
    });
    expect(JSON.parse(predictionJson(8, [0], binary))).toEqual({ sample: 8, probabilities: [0.5] });
    expect(JSON.parse(predictionJson(9, [1.5, 2], values))).toEqual({ sample: 9, values: [1.5, 2] });
    expect(JSON.parse(predictionJson(9, [1.5, -0], named))).toEqual({
      sample: 9,
      values: { price: 1.5, 'a "b", c': -0 },
    });
  });
});
