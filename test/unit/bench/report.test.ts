// Statistics and tables of the benches.

import { describe, expect, it } from 'vitest';
import { mean, median, quantile } from '../../../bench/report/statistics.ts';
import { formatTable } from '../../../bench/report/table.ts';

describe('statistics', () => {
  it('take the middle of odd and even numbers of values, in any order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('take nearest ranks as quantiles', () => {
    const values = [50, 10, 40, 20, 30];
    expect(quantile(values, 0)).toBe(10);
    expect(quantile(values, 0.2)).toBe(20);
    expect(quantile(values, 1)).toBe(50);
    expect(mean(values)).toBe(30);
  });
});

describe('tables', () => {
  it('set text to the left and numbers to the right, with the digits of their column', () => {
    const columns = [{ title: 'kernel' }, { title: 'ms', digits: 2 }, { title: 'unit' }];
    const rows = [
      ['adam', 1.5, 'ms'],
      ['convForward', null, 'none'],
      ['add', 100.126, null],
    ];
    expect(formatTable(columns, rows)).toBe(
      [
        'kernel           ms  unit',
        'adam           1.50  ms',
        'convForward          none',
        'add          100.13',
        '',
      ].join('\n'),
    );
  });
});
