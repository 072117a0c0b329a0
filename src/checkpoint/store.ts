// Checkpoints on disk (I/O): <directory>/checkpoints/step-000123.safetensors, and beside each a small .json with its
// SHA-256. The .json is written last: a checkpoint without one never came to its end.

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { requireMemory } from '../engine/memory-budget.ts';
import { LockstepError } from '../errors.ts';
import { machineMemory } from '../platform/machine-memory.ts';
import { makeDirectory, namesIn, removeFile, temporaryExtension, writeDurably } from './durable-file.ts';
import { type Retention, stepsThatStay } from './retention.ts';
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts';
import { type Content, decodeSidecar, encodeSidecar, type Sidecar } from './sidecar.ts';
import { type Checkpoint, checkpointOfTensors, tensorsOfCheckpoint } from './state.ts';
import { sha256Of, weightsSha256 } from './weights-hash.ts';

const keepDefault = 3;
const folder = 'checkpoints';
const extension = '.safetensors';
const namePattern = /^step-(\d{6,15})\.safetensors$/;

const nameOf = (step: number): string => `step-${String(step).padStart(6, '0')}${extension}`;
const sidecarOf = (path: string): string =>
  `${path.endsWith(extension) ? path.slice(0, -extension.length) : path}.json`;

/** The directory of the run that the checkpoint at `path` lies in; null for one that was copied out of it. */
export function runDirectoryOf(path: string): string | null {
  const place = dirname(resolve(path));
  return basename(place) === folder ? dirname(place) : null;
}

/**
 * Writes a checkpoint into the run's directory and gives the file's path. It is chained to the one before it where
 * `previousSha256` is null and there is one. When it is durable, those go that `retention` does not let stay (the last
 * three unless said), those of later steps, which belong to a history that was abandoned, and what a crash left behind.
 * The tensors must stay as they are until it resolves: they are not copied.
 * @throws LockstepError LOCKSTEP_FILE_SYSTEM; checkpoints that were there stay
 */
export async function writeCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  retention: Partial<Retention> = {},
): Promise<string> {
  const place = join(directory, folder);
  await makeDirectory(place);
  const before = (await checkpointsIn(place)).find(({ step }) => step < checkpoint.step);
  const previousSha256 =
    checkpoint.previousSha256 ?? (before ? ((await sidecarBeside(before.path))?.sha256 ?? null) : null);
  const parts = encodeSafetensors(tensorsOfCheckpoint({ ...checkpoint, previousSha256 }));
  const path = join(place, nameOf(checkpoint.step));
  const finite = Object.entries(checkpoint.metrics).filter(([, value]) => Number.isFinite(value));
  const sidecar: Sidecar = {
    step: checkpoint.step,
    ...(await contentOf(parts)),
    previousSha256,
    weightsSha256: await weightsSha256(checkpoint.parameters, checkpoint.statistics),
    metrics: Object.fromEntries(finite),
  };
  const replaces = await goodContentOf(path);
  if (replaces !== null) await writeDurably(sidecarOf(path), [encodeSidecar({ ...sidecar, replaces })]);
  await writeDurably(path, parts);
  await writeDurably(sidecarOf(path), [encodeSidecar(sidecar)]);
  await prune(place, checkpoint.step, { keep: keepDefault, ...retention });
  return path;
}

/**
 * The checkpoint in the file `path`; its SHA-256 is checked where a .json lies beside it.
 * @throws LockstepError LOCKSTEP_CHECKPOINT_NOT_FOUND, LOCKSTEP_CHECKPOINT_INVALID
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const bytes = await readBytes(path);
  const text = await sidecarText(path);
  if (text !== null) await verify(bytes, text, path);
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

/** What a directory has: its newest good checkpoint, or none that was ever finished. */
export type Search = FoundCheckpoint | { readonly checkpoint: null; readonly skipped: readonly string[] };

/** As searchCheckpoints; null where no checkpoint was ever finished. */
export async function newestCheckpoint(directory: string): Promise<FoundCheckpoint | null> {
  const found = await searchCheckpoints(directory);
  return found.checkpoint === null ? null : found;
}

/**
 * The newest checkpoint in a run's directory (or in its folder of checkpoints) that verifies.
 * @throws LockstepError LOCKSTEP_CHECKPOINT_INVALID where some were finished, but none verifies
 */
export async function searchCheckpoints(directory: string): Promise<Search> {
  const skipped: string[] = [];
  let finished = 0;
  for (const place of [join(directory, folder), directory]) {
    for (const { path } of await checkpointsIn(place)) {
      try {
        if ((await sidecarText(path)) === null) {
          skipped.push(`${path}: was never finished: no .json lies beside it`);
          continue;
        }
        finished++;
        return { checkpoint: await readCheckpoint(path), path, skipped };
      } catch (error) {
        // A good checkpoint that does not fit is not passed over for an older one.
        if (!(error instanceof LockstepError) || error.code === 'LOCKSTEP_OUT_OF_MEMORY') throw error;
        skipped.push(error.message);
      }
    }
  }
  if (finished === 0) return { checkpoint: null, skipped };
  throw new LockstepError('LOCKSTEP_CHECKPOINT_INVALID', `no good checkpoint is left: ${firstOf(skipped)}`);
}

/** One line for all that were skipped. */
export function firstOf(skipped: readonly string[]): string {
  return `${skipped[0]}${skipped.length > 1 ? ` (and ${skipped.length - 1} more)` : ''}`;
}

export interface OpenedCheckpoint extends FoundCheckpoint {
  /** There is a .json that it was checked against. */
  readonly isVerified: boolean;
}

/**
 * The checkpoint that `path` means: a file, or the newest good one of a directory.
 * @throws LockstepError LOCKSTEP_CHECKPOINT_NOT_FOUND where nothing says that it is one, LOCKSTEP_CHECKPOINT_INVALID
 */
export async function openCheckpoint(path: string): Promise<OpenedCheckpoint> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) {
    const isVerified = (await sidecarText(path)) !== null;
    return { checkpoint: await readCheckpoint(path), path, skipped: [], isVerified };
  }
  const found = await searchCheckpoints(path);
  if (found.checkpoint !== null) return { ...found, isVerified: true };
  const what = found.skipped.length === 0 ? 'no checkpoint' : 'no finished checkpoint';
  const why = found.skipped.length === 0 ? '' : `: ${firstOf(found.skipped)}`;
  throw new LockstepError(
    'LOCKSTEP_CHECKPOINT_NOT_FOUND',
    `${path}: there is ${what} in this directory${why}`,
  );
}

function invalid(path: string, what: string): LockstepError {
  return new LockstepError('LOCKSTEP_CHECKPOINT_INVALID', `${path}: ${what}`);
}

async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { size } = await stat(path);
    requireMemory(path, { 'checkpoint copies': size }, machineMemory());
    return await readFile(path);
  } catch (error) {
    if (error instanceof LockstepError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : `cannot be read: ${code}`;
    throw new LockstepError('LOCKSTEP_CHECKPOINT_NOT_FOUND', `${path}: ${why}`, { cause: error });
  }
}

async function verify(bytes: Uint8Array<ArrayBuffer>, text: string, path: string): Promise<void> {
  const sidecar = decodeSidecar(text);
  if (sidecar === null) throw invalid(sidecarOf(path), 'is damaged, so the checkpoint cannot be verified');
  const found = await contentOf([bytes]);
  if ([sidecar, sidecar.replaces].some((told) => told !== undefined && isSame(told, found))) return;
  if (found.bytes !== sidecar.bytes)
    throw invalid(path, `has ${found.bytes} bytes, but ${sidecar.bytes} were written`);
  throw invalid(path, `has SHA-256 ${found.sha256}, but ${sidecar.sha256} was written`);
}

async function contentOf(parts: readonly Uint8Array[]): Promise<Content> {
  return { bytes: parts.reduce((sum, { length }) => sum + length, 0), sha256: await sha256Of(parts) };
}

const isSame = (a: Content, b: Content): boolean => a.bytes === b.bytes && a.sha256 === b.sha256;

/** The text of the .json beside a checkpoint; null where there is none. */
async function sidecarText(path: string): Promise<string | null> {
  try {
    return await readFile(sidecarOf(path), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw invalid(sidecarOf(path), `cannot be read: ${code}`);
  }
}

/** Null where it is missing or damaged. */
async function sidecarBeside(path: string): Promise<Sidecar | null> {
  const text = await sidecarText(path).catch(() => null);
  return text === null ? null : decodeSidecar(text);
}

/** What the file at `path` holds, if it is a finished checkpoint that verifies. */
async function goodContentOf(path: string): Promise<Content | null> {
  const text = await sidecarText(path).catch(() => null);
  if (text === null) return null;
  try {
    const bytes = await readBytes(path);
    await verify(bytes, text, path);
    return await contentOf([bytes]);
  } catch {
    return null;
  }
}

interface Listed {
  readonly step: number;
  readonly path: string;
}

/** Files named as checkpoints, newest first. @throws LockstepError LOCKSTEP_FILE_SYSTEM */
async function checkpointsIn(place: string): Promise<Listed[]> {
  const listed = (await namesIn(place)).flatMap((name) => {
    const digits = namePattern.exec(name)?.[1];
    return digits === undefined ? [] : [{ step: Number(digits), path: join(place, name) }];
  });
  return listed.sort((a, b) => b.step - a.step);
}

/** The .json goes first, so that a crash in between leaves no checkpoint that looks finished. */
async function prune(place: string, newest: number, retention: Retention): Promise<void> {
  const listed = await checkpointsIn(place);
  const sidecars = await Promise.all(listed.map(({ path }) => sidecarBeside(path)));
  const finished = listed.flatMap(({ step }, i) => {
    const sidecar = sidecars[i];
    return sidecar === null || sidecar === undefined ? [] : [{ step, metrics: sidecar.metrics }];
  });
  const stay = stepsThatStay(finished, newest, retention);
  for (const { path } of listed.filter(({ step }) => !stay.has(step))) {
    await removeFile(sidecarOf(path));
    await removeFile(path);
  }
  for (const name of await namesIn(place)) {
    if (name.endsWith(temporaryExtension)) await removeFile(join(place, name));
  }
}
