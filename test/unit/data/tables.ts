// Random tables for tests of CSV data: names with any characters, columns of every magnitude, constant ones, timestamps.

import fc from 'fast-check';

export interface Column {
  readonly name: string;
  /** One a row; what the text of the file means, in float64. */
  readonly values: readonly number[];
}

export interface Table {
  readonly features: readonly Column[];
  readonly target: Column;
  readonly rows: number;
}

/** What would vanish at the edge of an unquoted field is quoted; csvText does so. */
const name = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
    fc.string({ unit: fc.constantFrom(...' ,"\n\r\t;\'aÄ0.-_'), minLength: 1, maxLength: 6 }),
    fc.constantFrom('__proto__', 'constructor', 'sample', '0', '-1.5e3', 'Größe (m²)', '価格', ' '),
  )
  .filter((text) => text.trim() !== '' || text === ' ');

/** Numbers that float32 would take for 0 are 0. */
const unit = fc.double({ min: -1, max: 1, noNaN: true }).map((x) => (Math.abs(x) < 1e-30 ? 0 : x));
const exponent = fc.integer({ min: -12, max: 12 });

/** Values around an offset: of one magnitude, constant, or seconds since 1970. */
const columnValues = (rows: number): fc.Arbitrary<number[]> => {
  const many = fc.array(unit, { minLength: rows, maxLength: rows });
  return fc.oneof(
    fc.tuple(many, exponent).map(([values, e]) => values.map((x) => Number(`${x}`) * Number(`1e${e}`))),
    fc.tuple(unit, exponent).map(([x, e]) => new Array<number>(rows).fill(x * Number(`1e${e}`))),
    fc.constantFrom(0.1, 1.1e12, -1e-12).map((x) => new Array<number>(rows).fill(x)),
    many.map((values) => values.map((x) => 1_700_000_000 + Math.floor(x * 3600))),
  );
};

export const tables: fc.Arbitrary<Table> = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.uniqueArray(name, { minLength: 2, maxLength: 7 }))
  .chain(([rows, names]) =>
    fc.tuple(...names.map(() => columnValues(rows))).map((columns) => {
      const all = columns.map((values, i) => ({ name: names[i]!, values }));
      return { rows, features: all.slice(1), target: all[0]! };
    }),
  );

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** A file of these columns, in this order, and these rows. */
export function csvText(columns: readonly Column[], rows: readonly number[]): string {
  const lines = rows.map((row) => columns.map(({ values }) => String(values[row])).join(','));
  return `${[columns.map((column) => quoted(column.name)).join(','), ...lines].join('\n')}\n`;
}
