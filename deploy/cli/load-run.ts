// From a path and options to a checked config and its data set (I/O), with messages that name the near file.

import { accessSync, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { loadConfigFile } from '../../src/config/load.ts';
import { overrideConfig } from '../../src/config/parse.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import type { TrainingData } from '../../src/data/dataset.ts';
import { loadDataset } from '../../src/data/load.ts';
import { LockstepError } from '../../src/errors.ts';
import { checkData } from './check-run.ts';
import { nearFile } from './near-files.ts';
import type { OverrideOptions } from './options.ts';

export async function loadRunConfig(path: string, overrides: OverrideOptions): Promise<RunConfig> {
  const { shards, steps, epochs, seed } = overrides;
  return overrideConfig(await loadNamed(path), { shards, steps, epochs, seed });
}

async function loadNamed(path: string): Promise<RunConfig> {
  try {
    return await loadConfigFile(path);
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'LOCKSTEP_CONFIG_NOT_FOUND') throw error;
    const isThere = (error.cause as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT';
    const near = isThere ? null : nearFile(path, extname(path) || '.json');
    if (near === null) throw error;
    throw new LockstepError(error.code, `${error.message}; did you mean ${near}?`, { cause: error });
  }
}

/** The data set of `config`; its files are beside the config unless `directory` is given. */
export async function loadRunData(
  config: RunConfig,
  configPath: string,
  directory: string | undefined,
): Promise<TrainingData> {
  checkData(config.data, directory);
  return loadDataset(config.data, { directory: directory ?? dirname(configPath) });
}

const tokenRemedies: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; the coordinator writes it into the directory of its run when it starts',
  EISDIR: 'is a directory; name the file with the token in it',
  EACCES: 'permission denied; it is readable by the user alone who started the coordinator',
};

/** What a token file may have at most, white space included: more is no token, and may have no end. In bytes. */
const tokenFileBytesMax = 1_024;

/**
 * The token of the cluster: what is in the file, else the environment's LOCKSTEP_TOKEN.
 * Throws LOCKSTEP_USAGE, which tells nothing of what was read.
 */
export function readToken(file: string | undefined): string | undefined {
  if (file === undefined) return checkedToken(process.env.LOCKSTEP_TOKEN ?? '', 'LOCKSTEP_TOKEN');
  return readTokenFile(file, `--token-file ${file}`);
}

/** `source`: what it is called where it cannot be used. Throws LOCKSTEP_USAGE, which tells nothing of what was read. */
export function readTokenFile(file: string, source: string): string {
  const { text, stats } = readStart(file, source);
  const token = checkedToken(text, source);
  if (token === undefined) throw new LockstepError('LOCKSTEP_USAGE', `${source}: the file is empty`);
  if (isExposed(file, stats)) {
    const bits = (stats.mode & 0o777).toString(8);
    throw new LockstepError(
      'LOCKSTEP_USAGE',
      `${source}: other users may read this token (mode ${bits}, not 600): if none did, chmod 600 the file; else remove it, ` +
        'and start the coordinator and all workers with a new one',
    );
  }
  return token;
}

/**
 * Whether others may read a file that this user should have kept to itself: the rule that ssh has for private keys. A file of
 * another user, or on a file system that is mounted read-only, comes from whoever runs the machine or the container (the
 * secrets of Docker and Kubernetes are world-readable files of root): this user cannot change its mode, and need not.
 */
function isExposed(file: string, { mode, uid, isFile }: TokenFileStats): boolean {
  if (process.platform === 'win32' || !isFile || (mode & 0o077) === 0) return false;
  return uid === process.getuid?.() && !isReadOnly(file);
}

function isReadOnly(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

interface TokenFileStats {
  readonly mode: number;
  readonly uid: number;
  readonly isFile: boolean;
}

/** Of a pipe too. */
function readStart(file: string, source: string): { readonly text: string; readonly stats: TokenFileStats } {
  const bytes = Buffer.alloc(tokenFileBytesMax);
  let length = 0;
  let stats: TokenFileStats;
  try {
    const descriptor = openSync(file, 'r');
    try {
      const found = fstatSync(descriptor);
      stats = { mode: found.mode, uid: found.uid, isFile: found.isFile() };
      for (let count = -1; count !== 0 && length < bytes.length; length += count)
        count = readSync(descriptor, bytes, length, bytes.length - length, null);
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    const reason = tokenRemedies[code] ?? `cannot be read (${code})`;
    throw new LockstepError('LOCKSTEP_USAGE', `${source}: ${reason}`, { cause });
  }
  return { text: bytes.toString('latin1', 0, length), stats };
}

/** Undefined where there is nothing but white space. */
function checkedToken(text: string, source: string): string | undefined {
  const token = text.trim();
  if (token === '') return undefined;
  if (/^[0-9a-f]{64}$/i.test(token)) return token;
  const is = /^[0-9a-f]*$/i.test(token) ? `has ${token.length} of them` : 'has other characters';
  throw new LockstepError(
    'LOCKSTEP_USAGE',
    `${source}: a token is 64 hexadecimal digits, but this ${is}; make one with: openssl rand -hex 32`,
  );
}
