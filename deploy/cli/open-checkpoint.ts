// From a path to a checkpoint with its config, and to the data that it is to be tried on (I/O).

import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { Option } from 'commander';
import type { Checkpoint } from '../../src/checkpoint/state.ts';
import { openCheckpoint } from '../../src/checkpoint/store.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import { loadDataset } from '../../src/data/load.ts';
import { loadInputs } from '../../src/data/load-inputs.ts';
import { LockstepError } from '../../src/errors.ts';
import { printable } from '../../src/platform/printable.ts';
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

/**
 * The checkpoint at `target`, or the newest good one of the run in that directory; bad ones, and one that nothing can be
 * checked against, are told on stderr. `otherwise`: what else the file could have been.
 */
export async function openNamed(
  target: string,
  stderr: NodeJS.WritableStream,
  otherwise = '',
): Promise<OpenedCheckpoint> {
  const { checkpoint, path, skipped, isVerified } = await openCheckpoint(target).catch((error: unknown) => {
    throw isOtherFile(error, target) ? noCheckpoint(target, otherwise, error) : error;
  });
  for (const line of skipped) stderr.write(`skipped: ${printable(line)}\n`);
  if (!isVerified) stderr.write(`not verified: ${path}: no .json lies beside it\n`);
  return { checkpoint, path, config: parseConfig(checkpoint.config, path) };
}

/** By its name it is no checkpoint either. */
function isOtherFile(error: unknown, target: string): error is LockstepError {
  const isInvalid = error instanceof LockstepError && error.code === 'LOCKSTEP_CHECKPOINT_INVALID';
  return isInvalid && extname(target) !== '.safetensors' && statSync(target).isFile();
}

function noCheckpoint(target: string, otherwise: string, cause: LockstepError): LockstepError {
  const is = otherwise === '' ? 'is no checkpoint' : `is neither a checkpoint nor ${otherwise}`;
  return new LockstepError('LOCKSTEP_CHECKPOINT_NOT_FOUND', `${target}: ${is}`, { cause });
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
