// Samples without targets, for predictions (I/O): one file, read and scaled by what the model was fitted on. Training data
// is not needed.

import { splitOfRecords, unusedColumns } from './csv.ts';
import { type Fitted, unitOf } from './fitted.ts';
import type { LoadedSplit } from './load.ts';
import { readRecords } from './load-csv.ts';
import { checkUnit, readImages } from './load-idx.ts';
import { splitOf } from './make-dataset.ts';
import type { Columns, RawSplit } from './raw.ts';
import { withinMemory } from './shared-floats.ts';

type RawInputs = Omit<RawSplit, 'targets'>;

/**
 * The samples of `file`, with targets of 0: CSV where the model was trained on named columns, else IDX.
 * @throws LockstepError LOCKSTEP_DATA_NOT_FOUND, LOCKSTEP_DATA_INVALID naming the file
 */
export async function loadInputs(fitted: Fitted, file: string): Promise<LoadedSplit> {
  return withinMemory(async () => {
    const { columns, targetSize } = fitted;
    const { raw, notices } =
      columns === null ? await idxInputs(fitted, file) : await csvInputs(columns, file);
    const targets = new Uint8Array(raw.samples * targetSize);
    return { split: splitOf(fitted, { ...raw, targets }), notices };
  });
}

interface Read {
  readonly raw: RawInputs;
  readonly notices: readonly string[];
}

async function csvInputs({ features }: Columns, path: string): Promise<Read> {
  const { records, file } = await readRecords(null, path);
  const columns = { features, targets: [] };
  const raw = splitOfRecords(records, columns, 0, file);
  const unused = unusedColumns(records, columns, file);
  return { raw, notices: unused === null ? [] : [unused] };
}

async function idxInputs(fitted: Fitted, path: string): Promise<Read> {
  const { file, samples, values, unit } = await readImages(path, fitted.inputShape);
  checkUnit(file, unit, unitOf(fitted));
  return { raw: { source: file, samples, inputs: values }, notices: [] };
}
