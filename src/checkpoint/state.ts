// What a checkpoint is, and how it becomes tensors and strings of a safetensors file. Pure.
// It says nothing of workers: any number of them goes on from it.

import { z } from 'zod';
import { type Fitted, fittedSchema } from '../data/fitted.ts';
import { LockstepError } from '../errors.ts';
import type { NamedTensor, TensorFile } from './safetensors.ts';

export type { NamedTensor } from './safetensors.ts';

export interface Checkpoint {
  /** Updates committed so far; the sampler goes on with the batch after. */
  readonly step: number;
  readonly seed: number;
  /** The run's config, as JSON. */
  readonly config: unknown;
  /** Numerics fingerprint of the kernels that computed it. */
  readonly fingerprint: string;
  /** SHA-256 of the data set it was trained on, as the data set names itself. */
  readonly datasetSha256: string;
  /** SHA-256 of its training split alone. */
  readonly trainSha256: string;
  /** What was fitted on the training split: other data is treated by it. */
  readonly fitted: Fitted;
  /** In the model's own order, as are statistics and each slot. */
  readonly parameters: readonly NamedTensor[];
  readonly statistics: readonly NamedTensor[];
  /** The optimizer's vectors: one list a slot, named as the parameters. */
  readonly slots: readonly (readonly NamedTensor[])[];
  readonly metrics: Readonly<Record<string, number>>;
  /** SHA-256 of the checkpoint file before this one; null for the first. */
  readonly previousSha256: string | null;
}

const format = 'lockstep-checkpoint';
/** 2 added what was fitted on the training data. */
const version = 2;

const count = z
  .string()
  .regex(/^(0|[1-9]\d{0,14})$/)
  .transform(Number);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** The strings of __metadata__. Keys of other programs are let pass. */
const metadataSchema = z.object({
  step: count,
  seed: count,
  config: z.string(),
  fingerprint: z.string(),
  datasetSha256: sha256,
  trainSha256: sha256,
  fitted: z.string(),
  metrics: z.string(),
  previousSha256: z.union([z.literal(''), sha256]),
  /** How many of the file's tensors, in their order, are parameters, then statistics; the slots follow. */
  parameters: count,
  statistics: count,
  slots: count,
});

const metricsSchema = z.record(z.string(), z.number());

/** Slot s of parameter p is named so in the file. */
const slotPrefix = (slot: number): string => `optimizer.${slot}.`;

export function tensorsOfCheckpoint(checkpoint: Checkpoint): TensorFile {
  const { parameters, statistics, slots } = checkpoint;
  const named = slots.flatMap((tensors, slot) =>
    tensors.map((tensor) => ({ ...tensor, name: slotPrefix(slot) + tensor.name })),
  );
  const finite = Object.entries(checkpoint.metrics).filter(([, value]) => Number.isFinite(value));
  const metadata = {
    format,
    version: String(version),
    step: String(checkpoint.step),
    seed: String(checkpoint.seed),
    config: JSON.stringify(checkpoint.config),
    fingerprint: checkpoint.fingerprint,
    datasetSha256: checkpoint.datasetSha256,
    trainSha256: checkpoint.trainSha256,
    fitted: JSON.stringify(checkpoint.fitted),
    metrics: JSON.stringify(Object.fromEntries(finite)),
    previousSha256: checkpoint.previousSha256 ?? '',
    parameters: String(parameters.length),
    statistics: String(statistics.length),
    slots: String(slots.length),
  };
  return { tensors: [...parameters, ...statistics, ...named], metadata };
}

function invalid(what: string): LockstepError {
  return new LockstepError('LOCKSTEP_CHECKPOINT_INVALID', what);
}

/** @throws LockstepError LOCKSTEP_CHECKPOINT_INVALID for a file that is no checkpoint of ours */
export function checkpointOfTensors({ tensors, metadata }: TensorFile): Checkpoint {
  if (metadata.format !== format) throw invalid('a safetensors file, but not a checkpoint of this program');
  if (metadata.version !== String(version)) throw invalid(otherVersion(metadata.version ?? '', version));
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) throw invalid(`its metadata lacks a valid ${String(parsed.error.issues[0]?.path[0])}`);
  const { step, seed, fingerprint, datasetSha256, trainSha256, previousSha256, ...rest } = parsed.data;
  const firstSlot = rest.parameters + rest.statistics;
  if (tensors.length !== firstSlot + rest.slots * rest.parameters) {
    throw invalid(`has ${tensors.length} tensors, not the number that its metadata says`);
  }
  const parameters = tensors.slice(0, rest.parameters);
  const metrics = metricsSchema.safeParse(jsonOf(rest.metrics, 'metrics'));
  if (!metrics.success) throw invalid('its metadata lacks a valid metrics');
  const fitted = fittedSchema.safeParse(jsonOf(rest.fitted, 'fitted'), { jitless: true });
  if (!fitted.success) throw invalid(`its metadata lacks a valid fitted: ${issueOf(fitted.error)}`);
  return {
    step,
    seed,
    config: jsonOf(rest.config, 'config'),
    fingerprint,
    datasetSha256,
    trainSha256,
    fitted: fitted.data,
    parameters,
    statistics: tensors.slice(rest.parameters, firstSlot),
    slots: Array.from({ length: rest.slots }, (_, slot) =>
      slotOf(tensors.slice(firstSlot + slot * rest.parameters), slot, parameters),
    ),
    metrics: metrics.data,
    previousSha256: previousSha256 || null,
  };
}

/** A version 1 does not say how its data was scaled, so that nothing can be predicted or trained on with certainty. */
function otherVersion(found: string, own: number): string {
  const remedy =
    Number(found) < own
      ? 'it does not hold the scaling and the columns of its data: train again, or use the version of this program that wrote it'
      : 'use the version of this program that wrote it, or a later one';
  return `a checkpoint of format version ${found}, but this program reads version ${own}; ${remedy}`;
}

function issueOf({ issues }: z.ZodError): string {
  const [first] = issues;
  return first === undefined ? '' : `${[...first.path, first.message].join(' ')}`;
}

/** The first tensors of `tensors` with the prefix of the slot taken off; each belongs to the parameter at its place. */
function slotOf(
  tensors: readonly NamedTensor[],
  slot: number,
  parameters: readonly NamedTensor[],
): NamedTensor[] {
  return parameters.map(({ name, shape }, i) => {
    const tensor = tensors[i]!;
    if (tensor.name !== slotPrefix(slot) + name || String(tensor.shape) !== String(shape)) {
      throw invalid(`tensor ${JSON.stringify(tensor.name)} is not slot ${slot} of ${JSON.stringify(name)}`);
    }
    return { ...tensor, name };
  });
}

function jsonOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(`its metadata lacks a valid ${what}`);
  }
}
