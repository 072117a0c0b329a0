// Rows of text to numbers: named columns, targets, features, classes. Pure; csv-parse splits the text (load-csv.ts).
// Every message names the file, the line and the column.

import { nearestWord } from '../config/nearest.ts';
import type { DataConfigOf } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import type { Columns, RawSplit } from './raw.ts';

/** A line of the file, split at its commas. */
export interface CsvRecord {
  readonly fields: readonly string[];
  /** Line of the file, from 1. */
  readonly line: number;
}

function invalid(where: string, what: string): LockstepError {
  return new LockstepError('LOCKSTEP_DATA_INVALID', `${where}: ${what}`);
}

const numberPattern = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;

const namesShownMax = 20;

function quoted(names: readonly string[]): string {
  const shown = names.slice(0, namesShownMax).map((name) => JSON.stringify(name));
  const more = names.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function headerOf(records: readonly CsvRecord[], file: string): readonly string[] {
  const header = records[0]?.fields;
  if (header === undefined) throw invalid(file, 'is empty; its first line must name the columns');
  const seen = new Set<string>();
  for (const name of header) {
    if (seen.has(name)) {
      checkHasNames(header, file);
      throw invalid(file, `two columns are named ${JSON.stringify(name)}`);
    }
    seen.add(name);
  }
  return header;
}

/** A first line of numbers alone is a row of data: nobody named the columns. */
function checkHasNames(header: readonly string[], file: string): void {
  if (!header.every((name) => numberPattern.test(name))) return;
  const what = `its first line holds numbers (${quoted(header)}), but it must name the columns`;
  throw invalid(file, `${what}; put a line with their names on top`);
}

/** Targets and features of the training file; features are all other columns unless the config names them. */
export function chooseColumns(
  records: readonly CsvRecord[],
  data: DataConfigOf<'csv'>,
  file: string,
): Columns {
  const header = headerOf(records, file);
  const targets = typeof data.target === 'string' ? [data.target] : data.target;
  const features = data.features ?? header.filter((name) => !targets.includes(name));
  for (const name of [...targets, ...features]) indexOf(name, header, file);
  const both = features.find((name) => targets.includes(name));
  if (both !== undefined)
    throw invalid(file, `column ${JSON.stringify(both)} is both a target and a feature`);
  const twice = targets.find((name, i) => targets.indexOf(name) !== i);
  if (twice !== undefined) throw invalid(file, `column ${JSON.stringify(twice)} is a target twice`);
  if (features.length === 0) throw invalid(file, 'has no column besides the target');
  return { targets, features };
}

function indexOf(name: string, header: readonly string[], file: string): number {
  const index = header.indexOf(name);
  if (index >= 0) return index;
  checkHasNames(header, file);
  const near = nearestWord(name, header);
  const hint = near === null ? '; its' : `; did you mean ${JSON.stringify(near)}? Its`;
  throw invalid(file, `has no column ${JSON.stringify(name)}${hint} columns are ${quoted(header)}`);
}

function numberIn(record: CsvRecord, index: number, name: string, file: string): number {
  const text = record.fields[index]!;
  const value = numberPattern.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(Math.fround(value))) return value;
  const what = text === '' ? 'is empty' : `${JSON.stringify(text)} is not a number of float32`;
  throw invalid(`${file}:${record.line}`, `column ${JSON.stringify(name)}: ${what}`);
}

/** Columns that the file has besides those; null where there are none. One line. */
export function unusedColumns(
  records: readonly CsvRecord[],
  { features, targets }: Columns,
  file: string,
): string | null {
  const used = new Set([...features, ...targets]);
  const unused = headerOf(records, file).filter((name) => !used.has(name));
  if (unused.length === 0) return null;
  return `${file}: the model does not use the ${unused.length === 1 ? 'column' : 'columns'} ${quoted(unused)}`;
}

/** The numbers of the chosen columns in float64, row after row. `classes` > 0 checks that the target is a class index. */
export function splitOfRecords(
  records: readonly CsvRecord[],
  columns: Columns,
  classes: number,
  file: string,
): RawSplit {
  const header = headerOf(records, file);
  const locate = (names: readonly string[]) =>
    names.map((name) => ({ name, index: indexOf(name, header, file) }));
  const [features, targets] = [locate(columns.features), locate(columns.targets)];
  const rows = records.slice(1);
  if (rows.length === 0) throw invalid(file, 'has no rows below the names of the columns');
  const inputValues = new Float64Array(rows.length * features.length);
  const targetValues = new Float64Array(rows.length * targets.length);
  rows.forEach((record, row) => {
    if (record.fields.length !== header.length) {
      const told = `has ${record.fields.length} values, but the first line names ${header.length} columns`;
      throw invalid(`${file}:${record.line}`, told);
    }
    features.forEach(({ name, index }, i) => {
      inputValues[row * features.length + i] = numberIn(record, index, name, file);
    });
    targets.forEach(({ name, index }, i) => {
      const value = numberIn(record, index, name, file);
      checkClass(value, classes, `${file}:${record.line}: column ${JSON.stringify(name)}`);
      targetValues[row * targets.length + i] = value;
    });
  });
  return { source: file, samples: rows.length, inputs: inputValues, targets: targetValues };
}

function checkClass(value: number, classes: number, where: string): void {
  if (classes === 0 || (Number.isInteger(value) && value >= 0 && value < classes)) return;
  throw invalid(where, `${value} is not a class index 0 .. ${classes - 1}, as "classes": ${classes} says`);
}
