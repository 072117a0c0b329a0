// Reads CSV files (I/O). csv-parse is loaded here, when a config asks for CSV, and not before.

import type { DataConfigOf } from '../config/schema-data.ts';
import { LockstepError } from '../errors.ts';
import { type CsvRecord, chooseColumns, splitOfRecords } from './csv.ts';
import { emptySplit, type RawDataset } from './make-dataset.ts';
import { readDataFile } from './read-file.ts';

export async function loadCsv(data: DataConfigOf<'csv'>, directory: string): Promise<RawDataset> {
  const train = await readRecords(directory, data.train);
  const columns = chooseColumns(train.records, data, train.file);
  const classes = data.classes ?? 0;
  const test = data.test === undefined ? null : await readRecords(directory, data.test);
  return {
    inputShape: [columns.features.length],
    targetSize: columns.targets.length,
    classes,
    train: splitOfRecords(train.records, columns, classes, train.file),
    test: test === null ? emptySplit : splitOfRecords(test.records, columns, classes, test.file),
    unit: 1,
  };
}

interface ParsedRecord {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

/** The lines of a CSV file, split at their commas; the first names the columns. */
export async function readRecords(
  directory: string,
  name: string,
): Promise<{ file: string; records: CsvRecord[] }> {
  const { parse } = await import('csv-parse/sync');
  const { file, bytes } = await readDataFile(directory, name);
  const options = { bom: true, info: true, trim: true, skip_empty_lines: true, relax_column_count: true };
  try {
    const parsed = parse(bytes, options) as unknown as ParsedRecord[];
    return { file, records: parsed.map(({ record, info }) => ({ fields: record, line: info.lines })) };
  } catch (error) {
    const [first] = (error as Error).message.split('\n');
    throw new LockstepError('LOCKSTEP_DATA_INVALID', `${file}: not valid CSV: ${first}`, { cause: error });
  }
}
