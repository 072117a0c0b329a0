// Rows of text to numbers: named columns, targets, features, classes. Pure; csv-parse splits the text (load-csv.ts).
// Every message names the file, the line and the column.

import { nearestWord } from '../config/nearest.ts';
import type { DataConfigOf } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import type { RawSplit } from './make-dataset.ts';

/** A line of the file, split at its commas. */
export interface CsvRecord {
  readonly fields: readonly string[];
  /** Line of the file, from 1. */
  readonly line: number;
}

/** Which columns are read, by name. */
export interface CsvColumns {
  readonly targets: readonly string[];
  readonly features: readonly string[];
}

function invalid(where: string, what: string): LockstepError {
  return new LockstepError('LOCKSTEP_DATA_INVALID', `${where}: ${what}`);
}

const quoted = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(', ');

function headerOf(records: readonly CsvRecord[], file: string): readonly string[] {
  const header = records[0]?.fields;
  if (header === undefined) throw invalid(file, 'is empty; its first line must name the columns');
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (twice !== undefined) throw invalid(file, `two columns are named ${JSON.stringify(twice)}`);
  return header;
}

/** Targets and features of the training file; features are all other columns unless the config names them. */
export function chooseColumns(
  records: readonly CsvRecord[],
  data: DataConfigOf<'csv'>,
  file: string,
): CsvColumns {
  const header = headerOf(records, file);
  const targets = typeof data.target === 'string' ? [data.target] : data.target;
  const features = data.features ?? header.filter((name) => !targets.includes(name));
  for (const name of [...targets, ...features]) indexOf(name, header, file);
  const both = features.find((name) => targets.includes(name));
  if (both !== undefined)
    throw invalid(file, `column ${JSON.stringify(both)} is both a target and a feature`);
  if (features.length === 0) throw invalid(file, 'has no column besides the target');
  return { targets, features };
}

function indexOf(name: string, header: readonly string[], file: string): number {
  const index = header.indexOf(name);
  if (index >= 0) return index;
  const near = nearestWord(name, header);
  const hint = near === null ? '; its' : `; did you mean ${JSON.stringify(near)}? Its`;
  throw invalid(file, `has no column ${JSON.stringify(name)}${hint} columns are ${quoted(header)}`);
}

const numberPattern = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;

function numberIn(record: CsvRecord, index: number, name: string, file: string): number {
  const text = record.fields[index]!;
  const value = numberPattern.test(text) ? Math.fround(Number(text)) : Number.NaN;
  if (Number.isFinite(value)) return value;
  const what = text === '' ? 'is empty' : `${JSON.stringify(text)} is not a number of float32`;
  throw invalid(`${file}:${record.line}`, `column ${JSON.stringify(name)}: ${what}`);
}

/** The numbers of the chosen columns, row after row. `classes` > 0 checks that the target is a class index. */
export function splitOfRecords(
  records: readonly CsvRecord[],
  columns: CsvColumns,
  classes: number,
  file: string,
): RawSplit {
  const header = headerOf(records, file);
  const locate = (names: readonly string[]) =>
    names.map((name) => ({ name, index: indexOf(name, header, file) }));
  const [features, targets] = [locate(columns.features), locate(columns.targets)];
  const rows = records.slice(1);
  if (rows.length === 0) throw invalid(file, 'has no rows below the names of the columns');
  const inputValues = new Float32Array(rows.length * features.length);
  const targetValues = new Float32Array(rows.length * targets.length);
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
  return { samples: rows.length, inputs: inputValues, targets: targetValues };
}

function checkClass(value: number, classes: number, where: string): void {
  if (classes === 0 || (Number.isInteger(value) && value >= 0 && value < classes)) return;
  throw invalid(where, `${value} is not a class index 0 .. ${classes - 1}, as "classes": ${classes} says`);
}
