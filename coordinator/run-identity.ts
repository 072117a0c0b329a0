// What makes a run this run, whoever computes it and however often it is taken up again: the fixed part of its config, its
// data set, and from its first membership on the kernels. Journal and checkpoints have it. No I/O; the hash is node:crypto's.

import { createHash } from 'node:crypto';
import type { MessageOf } from '../proto/messages.ts';
import type { Checkpoint } from '../src/checkpoint/state.ts';
import { changeOfFixed, changeText, type FixedPart, fixedPart } from '../src/config/fixed-part.ts';
import type { RunConfig } from '../src/config/schema.ts';
import type { TrainingData } from '../src/data/dataset.ts';
import type { Fitted } from '../src/data/fitted.ts';
import { LockstepError } from '../src/errors.ts';

export interface RunIdentity {
  readonly config: FixedPart;
  readonly datasetSha256: string;
  /** SHA-256 of what was fitted on the data set: the same samples under other names or in other units are other data. */
  readonly fittedSha256: string;
}

/** The kernels whose bits a run has, as its first member told them. */
export type Numerics = Pick<MessageOf<'hello'>, 'fingerprint' | 'kernelHashes' | 'backend' | 'variant'>;

/** What the journal of a run says of it; null where no line does. */
export interface Journalled {
  readonly generation: number;
  readonly identity: RunIdentity | null;
  readonly numerics: Numerics | null;
}

export function identityOf(run: {
  readonly config: RunConfig;
  readonly dataset: Pick<TrainingData, 'sha256' | 'fitted'>;
}): RunIdentity {
  const { sha256, fitted } = run.dataset;
  return { config: fixedPart(run.config), datasetSha256: sha256, fittedSha256: sha256OfFitted(fitted) };
}

const sha256OfFitted = (fitted: Fitted): string =>
  createHash('sha256').update(JSON.stringify(fitted)).digest('hex');

export function numericsOf({ fingerprint, kernelHashes, backend, variant }: Numerics): Numerics {
  return { fingerprint, kernelHashes, backend, variant };
}

/** Throws LOCKSTEP_CHECKPOINT_MISMATCH where the run in `out` is not the one that is to be gone on with. */
export function checkSameRun(
  out: string,
  now: RunIdentity,
  journal: Journalled,
  from: Checkpoint | null,
): void {
  const checkpoint = `the checkpoint in ${out}`;
  if (from !== null) {
    const made = { ...from, fittedSha256: sha256OfFitted(from.fitted) };
    checkSame(made, now, `${checkpoint} was made`, `${checkpoint} was trained on`);
  }
  const { identity, numerics, generation } = journal;
  const run = `the run in ${out}`;
  if (identity !== null) checkSame(identity, now, `${run} was begun`, `${run} was begun on`);
  const isKnown = generation === 0 || (identity !== null && numerics !== null);
  if (from === null && !isKnown) {
    throw mismatch(
      `${out}: journal.ndjson does not say with which config, data and kernels the run was begun (it was damaged, or written ` +
        'by an older version), and there is no checkpoint that does; train into another --out',
    );
  }
  if (from !== null && numerics !== null && from.fingerprint !== numerics.fingerprint) {
    const [then, told] = [from, numerics].map(({ fingerprint }) => fingerprint.slice(0, 12));
    throw mismatch(
      `${checkpoint} has the numerics fingerprint ${then}, but its journal ${told}: they are not of the same run; ` +
        'bring back the checkpoints that belong to the journal, or train into another --out',
    );
  }
}

function checkSame(
  before: { readonly config: unknown; readonly datasetSha256: string; readonly fittedSha256: string },
  now: RunIdentity,
  made: string,
  trained: string,
): void {
  const change = changeOfFixed(before.config, now.config);
  if (change !== null) {
    const how = changeText(change);
    throw mismatch(`${made} ${how}; resume with the same config, or train into another --out`);
  }
  if (before.datasetSha256 === now.datasetSha256) {
    if (before.fittedSha256 === now.fittedSha256) return;
    throw mismatch(
      `${trained} a data set with other names of columns, or with values in other units; ` +
        'resume with the same data, or train into another --out',
    );
  }
  const [then, is] = [before, now].map(({ datasetSha256 }) => datasetSha256.slice(0, 12));
  throw mismatch(
    `${trained} a data set of SHA-256 ${then}, but this one has ${is}; ` +
      'resume with the same data, or train into another --out',
  );
}

const mismatch = (message: string): LockstepError =>
  new LockstepError('LOCKSTEP_CHECKPOINT_MISMATCH', message);
