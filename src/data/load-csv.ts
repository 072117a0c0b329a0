// Reads CSV files (I/O). csv-parse is loaded here, when a config asks for CSV, and not before.

import type { DataConfigOf } from '../config/schema-data.ts';
import { assert, LockstepError } from '../errors.ts';
import { type CsvRecord, chooseColumns, splitOfRecords, unusedColumns } from './csv.ts';
import { type Columns, emptySplit, type RawDataset, type SplitName } from './raw.ts';
import { readDataFile } from './read-file.ts';

export interface CsvOptions {
  readonly directory: string;
  /** Which files are read; the others are left empty. */
  readonly splits: readonly SplitName[];
  /** By name; null: as the config and the training file say. */
  readonly columns: Columns | null;
}

export async function loadCsv(
  data: DataConfigOf<'csv'>,
  { directory, splits, columns: given }: CsvOptions,
): Promise<RawDataset> {
  const classes = data.classes ?? 0;
  const notices: string[] = [];
  let columns = given;
  const read = async (split: SplitName) => {
    const name = data[split];
    if (name === undefined || !splits.includes(split)) return emptySplit;
    const { records, file } = await readRecords(directory, name);
    columns ??= chooseColumns(records, data, file);
    const unused = unusedColumns(records, columns, file);
    if (unused !== null) notices.push(unused);
    return splitOfRecords(records, columns, classes, file);
  };
  const train = await read('train');
  const test = await read('test');
  assert(columns !== null, 'the columns of a CSV file come from its training file');
  const { features, targets } = columns as Columns;
  const shapes = { inputShape: [features.length], targetSize: targets.length, classes };
  return { ...shapes, columns, train, test, unit: 1, notices };
}

interface ParsedRecord {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

/** The lines of a CSV file, split at their commas; the first names the columns. */
export async function readRecords(
  directory: string | null,
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
