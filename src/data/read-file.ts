// Reads a data file whole (I/O): gzip or not, told by its first bytes; found with or without .gz behind its name.

import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { LockstepError } from '../errors.ts';

/** What a gzip file may become in memory. */
const unpackedBytesMax = 2 ** 31;
const unpack = promisify(gunzip);

/** The file as it was found, and its bytes, unpacked. */
export interface DataFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

/**
 * A relative name is looked for in `directory`, an absolute one is taken as it is; so is every name where `directory` is null.
 * @throws LockstepError LOCKSTEP_DATA_NOT_FOUND, LOCKSTEP_DATA_INVALID
 */
export async function readDataFile(directory: string | null, name: string): Promise<DataFile> {
  const named = directory === null || isAbsolute(name) ? name : join(directory, name);
  const other = named.endsWith('.gz') ? named.slice(0, -3) : `${named}.gz`;
  for (const file of [named, other]) {
    const bytes = await readIfThere(file);
    if (bytes !== null)
      return { file, bytes: bytes[0] === 0x1f && bytes[1] === 0x8b ? await unzipped(bytes, file) : bytes };
  }
  const told = `${named}: there is no such file, nor ${other.endsWith('.gz') ? 'one with .gz' : 'one without .gz'}`;
  if (directory === null) throw new LockstepError('LOCKSTEP_DATA_NOT_FOUND', told);
  const remedy = isAbsolute(name)
    ? 'the config names it by its absolute path, which --data DIR does not change'
    : 'name its directory with --data DIR';
  throw new LockstepError('LOCKSTEP_DATA_NOT_FOUND', `${told}; ${remedy}`);
}

async function readIfThere(file: string): Promise<Uint8Array | null> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    const why = code === 'EISDIR' ? 'it is a directory' : String(code);
    throw new LockstepError('LOCKSTEP_DATA_NOT_FOUND', `${file}: cannot be read: ${why}`, { cause: error });
  }
}

async function unzipped(bytes: Uint8Array, file: string): Promise<Uint8Array> {
  try {
    return await unpack(bytes, { maxOutputLength: unpackedBytesMax });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ERR_BUFFER_TOO_LARGE'
        ? `unpacks to more than ${unpackedBytesMax} bytes`
        : 'is truncated or damaged';
    throw new LockstepError(
      'LOCKSTEP_DATA_INVALID',
      `${file}: the gzip file ${why}; copy or download it again`,
      {
        cause: error,
      },
    );
  }
}
