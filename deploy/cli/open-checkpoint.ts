// From a path to a checkpoint with its config, and to the data that it is to be tried on (I/O).

import { Option } from 'commander';
import type { Checkpoint } from '../../src/checkpoint/state.ts';
import { openCheckpoint } from '../../src/checkpoint/store.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import { loadDataset } from '../../src/data/load.ts';
import { loadInputs } from '../../src/data/load-inputs.ts';
import { checkData } from './check-run.ts';

export type SplitName = 'train' | 'test';

export function splitOption(): Option {
  return new Option('--split <name>', 'which samples of the data').choices(['test', 'train']).default('test');
}

export interface OpenedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly path: string;
  readonly config: RunConfig;
}

/** The checkpoint at `target`, or the newest good one of the run in that directory; bad ones are told on stderr. */
export async function openNamed(target: string, stderr: NodeJS.WritableStream): Promise<OpenedCheckpoint> {
  const { checkpoint, path, skipped } = await openCheckpoint(target);
  for (const line of skipped) stderr.write(`skipped: ${line}\n`);
  return { checkpoint, path, config: parseConfig(checkpoint.config, path) };
}

/** The data of the checkpoint's config, from --data or the working directory; or the samples of --input. */
export async function openData(
  { config }: OpenedCheckpoint,
  options: { readonly data?: string; readonly input?: string },
): Promise<Dataset> {
  checkData(config.data, options.data);
  const directory = options.data ?? '.';
  if (options.input === undefined) return loadDataset(config.data, { directory });
  return loadInputs(config.data, { directory, file: options.input });
}
