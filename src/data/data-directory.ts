// Where the data of a run was read from (I/O): data.json in the run's directory, for evaluate and predict, which may be
// started anywhere. A path belongs to one machine, so it is not in the checkpoints, whose bytes are the same everywhere.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { makeDirectory, writeDurably } from '../checkpoint/durable-file.ts';
import { LockstepError } from '../errors.ts';

const fileName = 'data.json';
const schema = z.object({ directory: z.string().min(1) });

/** Notes it for the run in `out`; nothing is noted where there are no files. @throws LockstepError LOCKSTEP_FILE_SYSTEM */
export async function noteDataDirectory(out: string, directory: string | null): Promise<void> {
  if (directory === null) return;
  await makeDirectory(out);
  const text = `${JSON.stringify({ directory }, null, 2)}\n`;
  await writeDurably(join(out, fileName), [new TextEncoder().encode(text)]);
}

/** Absolute path, or null where nothing is noted. @throws LockstepError LOCKSTEP_DATA_INVALID */
export async function notedDataDirectory(out: string): Promise<string | null> {
  const path = join(out, fileName);
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8'))).directory;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new LockstepError(
      'LOCKSTEP_DATA_INVALID',
      `${path}: does not say where the data of the run is; name its directory with --data DIR`,
      { cause: error },
    );
  }
}
