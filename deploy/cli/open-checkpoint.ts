// From a path to a checkpoint with its config, and to the data that it is to be tried on (I/O).

import { statSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { Option } from 'commander';
import type { Checkpoint } from '../../src/checkpoint/state.ts';
import { openCheckpoint, runDirectoryOf } from '../../src/checkpoint/store.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import { notedDataDirectory } from '../../src/data/data-directory.ts';
import { hasFiles, loadSplit } from '../../src/data/load.ts';
import { loadInputs } from '../../src/data/load-inputs.ts';
import { splitSha256 } from '../../src/data/make-dataset.ts';
import type { SplitName } from '../../src/data/raw.ts';
import { sharedFloats } from '../../src/data/shared-floats.ts';
import { LockstepError } from '../../src/errors.ts';
import { buildModel } from '../../src/nn/build.ts';
import { printable } from '../../src/platform/printable.ts';
import type { InferenceData } from '../inference.ts';
import { checkData } from './check-run.ts';

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
  const config = parseConfig(checkpoint.config, path);
  checkColumns(config, checkpoint, path);
  return { checkpoint, path, config };
}

/** Without names of columns a CSV file would be read by those that it happens to have. */
function checkColumns({ data }: RunConfig, { fitted }: Checkpoint, path: string): void {
  if ((data.kind === 'csv') === (fitted.columns !== null)) return;
  const which = fitted.columns === null ? 'no columns' : 'columns';
  const told = `${path}: its config says that its data is ${data.kind}, but it has ${which}; it was changed after it was written`;
  throw new LockstepError('LOCKSTEP_CHECKPOINT_INVALID', told);
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

export interface DataOptions {
  readonly data?: string;
  readonly input?: string;
  readonly split: SplitName;
}

/**
 * The split of the checkpoint's config that is asked for, or the samples of --input, scaled by what the checkpoint was
 * fitted on. The other split is empty. Files are looked for in --data, else where the run read them, else in the working
 * directory. What does not fit exactly is told on stderr.
 */
export async function openData(
  opened: OpenedCheckpoint,
  options: DataOptions,
  stderr: NodeJS.WritableStream,
): Promise<InferenceData> {
  const { checkpoint, config } = opened;
  const { fitted } = checkpoint;
  checkData(config.data, options.data);
  const tell = (line: string): void => void stderr.write(`${line}\n`);
  const { inputShape, targetSize } = fitted;
  const none = { samples: 0, inputs: sharedFloats(0), targets: sharedFloats(0) };
  if (options.input !== undefined) {
    const { split, notices } = await loadInputs(fitted, options.input);
    notices.forEach(tell);
    return { inputShape, targetSize, train: none, test: split };
  }
  const directory = hasFiles(config.data) ? await dataDirectory(opened, options.data) : '.';
  const outputs =
    config.loss === 'softmaxCrossEntropy' ? buildModel(config.model, config).outputSize : undefined;
  const { split, notices } = await loadSplit(config.data, options.split, fitted, { directory, outputs });
  notices.forEach(tell);
  if (options.split === 'test') return { inputShape, targetSize, train: none, test: split };
  if (splitSha256(split) !== checkpoint.trainSha256)
    tell('the training data is not what the run was trained on; it is scaled as the run scaled its own');
  return { inputShape, targetSize, train: split, test: none };
}

/** Absolute, so that an error says where files were looked for. */
async function dataDirectory({ path }: OpenedCheckpoint, asked: string | undefined): Promise<string> {
  if (asked !== undefined) return resolve(asked);
  const run = runDirectoryOf(path);
  return resolve((run === null ? null : await notedDataDirectory(run)) ?? '.');
}
