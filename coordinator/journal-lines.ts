// What the lines of a journal say. A line that a crash cut short, or that is none of ours, says nothing. Pure; the file is
// journal.ts.

import { limits } from '../proto/limits.ts';
import { fixedKeys } from '../src/config/fixed-part.ts';
import type { Journalled, Numerics, RunIdentity } from './run-identity.ts';

export interface JournalState extends Journalled {
  /** Null where no line says it. */
  readonly runId: string | null;
  /** Key of the workers' secrets (name-secrets.ts); null where no line says it. */
  readonly nameKey: string | null;
  /** Of the newest generation, in rank order. */
  readonly members: readonly string[];
  /** Of all generations. */
  readonly names: ReadonlySet<string>;
  /** Up to which step that generation computes again; null where it does not. */
  readonly replayTo: number | null;
  /** Where the run ended, if nothing was formed since. */
  readonly endedStep: number | null;
  /** A checkpoint was finished: from then on there is always one. */
  readonly hadCheckpoint: boolean;
}

/** A line of ours is one of four: the run's id and what it is, a generation (the first one with numerics), the first checkpoint, where it ended. */
interface Line {
  readonly runId?: unknown;
  readonly nameKey?: unknown;
  readonly config?: unknown;
  readonly datasetSha256?: unknown;
  readonly fittedSha256?: unknown;
  readonly generation?: unknown;
  readonly workerIds?: unknown;
  readonly numerics?: unknown;
  readonly replayTo?: unknown;
  readonly checkpoint?: unknown;
  readonly ended?: unknown;
}

/** No run comes near it; the ones after it still fit into a message. */
const generationMax = 2 ** 31;

export function stateOfLines(text: string): JournalState {
  let runId: string | null = null;
  let identity: RunIdentity | null = null;
  let numerics: Numerics | null = null;
  let generation = 0;
  let nameKey: string | null = null;
  let members: readonly string[] = [];
  const names = new Set<string>();
  let endedStep: number | null = null;
  let hadCheckpoint = false;
  let replayTo: number | null = null;
  for (const line of text.split('\n').map(parseLine)) {
    if (typeof line.runId === 'string' && line.runId.length <= limits.nameCharsMax) runId ??= line.runId;
    if (typeof line.nameKey === 'string') nameKey ??= line.nameKey;
    identity ??= identityIn(line);
    if (isTexts(line.workerIds)) for (const workerId of line.workerIds) names.add(workerId);
    const told = Number.isSafeInteger(line.generation) ? (line.generation as number) : 0;
    if (told > generation && told <= generationMax) {
      generation = told;
      members = isTexts(line.workerIds) ? line.workerIds : [];
      numerics ??= numericsIn(line.numerics);
      endedStep = null;
      replayTo = Number.isSafeInteger(line.replayTo) ? (line.replayTo as number) : null;
    }
    if (Number.isSafeInteger(line.ended)) endedStep = line.ended as number;
    // Where it ended there is one, too; a journal of an older version says no more.
    hadCheckpoint ||= Number.isSafeInteger(line.checkpoint) || Number.isSafeInteger(line.ended);
  }
  return {
    runId,
    nameKey,
    identity,
    numerics,
    generation,
    members,
    names,
    replayTo,
    endedStep,
    hadCheckpoint,
  };
}

function identityIn({ config, datasetSha256, fittedSha256 }: Line): RunIdentity | null {
  const isWhole = fixedKeys.every((key) => key === 'clipNorm' || Object.hasOwn(Object(config), key));
  return isWhole && typeof datasetSha256 === 'string' && typeof fittedSha256 === 'string'
    ? { config: config as RunIdentity['config'], datasetSha256, fittedSha256 }
    : null;
}

function numericsIn(value: unknown): Numerics | null {
  const { fingerprint, kernelHashes, backend, variant } = Object(value) as Partial<Numerics>;
  const isWhole = isTexts([fingerprint, backend, variant]) && isTexts(Object.values(Object(kernelHashes)));
  return isWhole ? (value as Numerics) : null;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function parseLine(line: string): Line {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}
