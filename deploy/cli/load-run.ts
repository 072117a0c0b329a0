// From a path and options to a checked config and its data set (I/O), with messages that name the near file.

import { readFileSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { loadConfigFile } from '../../src/config/load.ts';
import { overrideConfig } from '../../src/config/parse.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import { loadDataset } from '../../src/data/load.ts';
import { LockstepError } from '../../src/errors.ts';
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
export function loadRunData(
  config: RunConfig,
  configPath: string,
  directory: string | undefined,
): Promise<Dataset> {
  return loadDataset(config.data, { directory: directory ?? dirname(configPath) });
}

/** The token of the cluster: the file's first line, else the environment's LOCKSTEP_TOKEN. */
export function readToken(file: string | undefined): string | undefined {
  if (file === undefined) return process.env.LOCKSTEP_TOKEN || undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'there is no such file; the coordinator writes it into the directory of its run when it starts'
        : (cause as Error).message;
    throw new LockstepError('LOCKSTEP_USAGE', `--token-file ${file}: ${reason}`, { cause });
  }
  const token = text.trim();
  if (token === '') throw new LockstepError('LOCKSTEP_USAGE', `--token-file ${file}: the file is empty`);
  return token;
}
