// What makes a run this run, whoever computes it and however often it is taken up again: the fixed part of its config, its
// data set, and from its first membership on the kernels. Journal and checkpoints have it. Pure.

import type { MessageOf } from '../proto/messages.ts';
import type { Checkpoint } from '../src/checkpoint/state.ts';
import { changeOfFixed, changeText, type FixedPart, fixedPart } from '../src/config/fixed-part.ts';
import type { RunConfig } from '../src/config/schema.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { LockstepError } from '../src/errors.ts';

export interface RunIdentity {
  readonly config: FixedPart;
  readonly datasetSha256: string;
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
  readonly dataset: Pick<Dataset, 'sha256'>;
}): RunIdentity {
  return { config: fixedPart(run.config), datasetSha256: run.dataset.sha256 };
}

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
  if (from !== null) checkSame(from, now, `${checkpoint} was made`, `${checkpoint} was trained on`);
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
  before: { readonly config: unknown; readonly datasetSha256: string },
  now: RunIdentity,
  made: string,
  trained: string,
): void {
  const change = changeOfFixed(before.config, now.config);
  if (change !== null) {
    const how = changeText(change);
    throw mismatch(`${made} ${how}; resume with the same config, or train into another --out`);
  }
  if (before.datasetSha256 === now.datasetSha256) return;
  const [then, is] = [before, now].map(({ datasetSha256 }) => datasetSha256.slice(0, 12));
  throw mismatch(
    `${trained} a data set of SHA-256 ${then}, but this one has ${is}; ` +
      'resume with the same data, or train into another --out',
  );
}

const mismatch = (message: string): LockstepError =>
  new LockstepError('LOCKSTEP_CHECKPOINT_MISMATCH', message);
