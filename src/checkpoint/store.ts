// Checkpoints on disk (I/O): <directory>/checkpoints/step-000123.safetensors, and beside each a small .json with its
// SHA-256. The .json is written last: a checkpoint without one never came to its end.

import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { LockstepError } from '../errors.ts';
import { makeDirectory, namesIn, removeFile, temporaryPattern, writeDurably } from './durable-file.ts';
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts';
import { type Checkpoint, checkpointOfTensors, tensorsOfCheckpoint } from './state.ts';
import { weightsSha256 } from './weights-hash.ts';

const keepDefault = 3;
const folder = 'checkpoints';
const extension = '.safetensors';
const namePattern = /^step-(\d{6,15})\.safetensors$/;

const sidecarSchema = z.object({
  step: z.int().min(0),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const nameOf = (step: number): string => `step-${String(step).padStart(6, '0')}${extension}`;
const sidecarOf = (path: string): string => `${path.slice(0, -extension.length)}.json`;

export interface WriteOptions {
  /** Checkpoints that stay, this one included; 3 unless said. */
  readonly keep?: number;
}

/**
 * Writes a checkpoint into the run's directory and gives the file's path. It is chained to the one before it where
 * `previousSha256` is null and there is one. Afterwards older ones than the last `keep` go, and so do those of later
 * steps, which belong to a history that was abandoned.
 * @throws LockstepError LOCKSTEP_FILE_SYSTEM; checkpoints that were there stay
 */
export async function writeCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  { keep = keepDefault }: WriteOptions = {},
): Promise<string> {
  const place = join(directory, folder);
  await makeDirectory(place);
  const before = (await checkpointsIn(place)).find(({ step }) => step < checkpoint.step);
  const previousSha256 = checkpoint.previousSha256 ?? (before ? await recordedSha256(before.path) : null);
  const bytes = encodeSafetensors(tensorsOfCheckpoint({ ...checkpoint, previousSha256 }));
  const path = join(place, nameOf(checkpoint.step));
  const sidecar = {
    step: checkpoint.step,
    bytes: bytes.length,
    sha256: sha256Of(bytes),
    previousSha256,
    weightsSha256: weightsSha256(checkpoint.parameters, checkpoint.statistics),
    metrics: checkpoint.metrics,
  };
  await writeDurably(path, bytes);
  await writeDurably(sidecarOf(path), new TextEncoder().encode(`${JSON.stringify(sidecar, null, 2)}\n`));
  await prune(place, checkpoint.step, keep);
  return path;
}

/**
 * The checkpoint in the file `path`; its SHA-256 is checked where a .json lies beside it.
 * @throws LockstepError LOCKSTEP_CHECKPOINT_NOT_FOUND, LOCKSTEP_CHECKPOINT_INVALID
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const bytes = await readBytes(path);
  const text = await readFile(sidecarOf(path), 'utf8').catch(() => null);
  if (text !== null) verify(bytes, text, path);
  try {
    return checkpointOfTensors(decodeSafetensors(bytes));
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    throw new LockstepError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

export interface FoundCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly path: string;
  /** One line for each newer checkpoint that did not verify. */
  readonly skipped: readonly string[];
}

/**
 * The newest checkpoint in a run's directory (or in its folder of checkpoints) that verifies; null where there is none
 * at all.
 * @throws LockstepError LOCKSTEP_CHECKPOINT_INVALID where there are some, but none that verifies
 */
export async function newestCheckpoint(directory: string): Promise<FoundCheckpoint | null> {
  const skipped: string[] = [];
  for (const place of [join(directory, folder), directory]) {
    for (const { path } of await checkpointsIn(place)) {
      try {
        if (!(await exists(sidecarOf(path))))
          throw invalid(path, 'was never finished: no .json lies beside it');
        return { checkpoint: await readCheckpoint(path), path, skipped };
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        skipped.push(error.message);
      }
    }
  }
  if (skipped.length === 0) return null;
  const others = skipped.length > 1 ? ` (and ${skipped.length - 1} more)` : '';
  throw new LockstepError(
    'LOCKSTEP_CHECKPOINT_INVALID',
    `no good checkpoint is left: ${skipped[0]}${others}`,
  );
}

/** The checkpoint that `path` means: a file, or the newest good one of a directory. */
export async function openCheckpoint(path: string): Promise<FoundCheckpoint> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const found = isDirectory
    ? await newestCheckpoint(path)
    : { checkpoint: await readCheckpoint(path), path, skipped: [] };
  if (found !== null) return found;
  throw new LockstepError(
    'LOCKSTEP_CHECKPOINT_NOT_FOUND',
    `${path}: there is no checkpoint in this directory`,
  );
}

function invalid(path: string, what: string): LockstepError {
  return new LockstepError('LOCKSTEP_CHECKPOINT_INVALID', `${path}: ${what}`);
}

async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : `cannot be read: ${code}`;
    throw new LockstepError('LOCKSTEP_CHECKPOINT_NOT_FOUND', `${path}: ${why}`, { cause: error });
  }
}

function verify(bytes: Uint8Array, sidecarText: string, path: string): void {
  const sidecar = parseSidecar(sidecarText);
  if (sidecar === null) throw invalid(sidecarOf(path), 'is damaged, so the checkpoint cannot be verified');
  if (bytes.length !== sidecar.bytes)
    throw invalid(path, `has ${bytes.length} bytes, but ${sidecar.bytes} were written`);
  const found = sha256Of(bytes);
  if (found !== sidecar.sha256)
    throw invalid(path, `has SHA-256 ${found}, but ${sidecar.sha256} was written`);
}

function parseSidecar(text: string): z.output<typeof sidecarSchema> | null {
  try {
    return sidecarSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

async function recordedSha256(path: string): Promise<string | null> {
  const text = await readFile(sidecarOf(path), 'utf8').catch(() => '');
  return parseSidecar(text)?.sha256 ?? null;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

interface Listed {
  readonly step: number;
  readonly path: string;
}

/** Files named as checkpoints, newest first. */
async function checkpointsIn(place: string): Promise<Listed[]> {
  const names = await readdir(place).catch(() => []);
  const listed = names.flatMap((name) => {
    const digits = namePattern.exec(name)?.[1];
    return digits === undefined ? [] : [{ step: Number(digits), path: join(place, name) }];
  });
  return listed.sort((a, b) => b.step - a.step);
}

/** The .json goes first, so that a crash in between leaves no checkpoint that looks finished. */
async function prune(place: string, newest: number, keep: number): Promise<void> {
  const listed = await checkpointsIn(place);
  const stay = new Set(listed.filter(({ step }) => step <= newest).slice(0, Math.max(1, keep)));
  for (const { path } of listed.filter((one) => !stay.has(one))) {
    await removeFile(sidecarOf(path));
    await removeFile(path);
  }
  for (const name of await namesIn(place)) {
    if (temporaryPattern.test(name)) await removeFile(join(place, name));
  }
}
