// What the coordinator's machine knows of the run, and of each worker. Data only.

import type { MessageOf } from '../proto/messages.ts';
import type { AdmissionFacts } from './admission.ts';
import type { ConnectionId } from './effects.ts';

export type Hello = MessageOf<'hello'>;

/** What the run is, decided before the first worker comes. */
export interface RunFacts extends AdmissionFacts {
  /** Workers to wait for before the first step. */
  readonly workersWanted: number;
  /** With fewer the run pauses; it goes on by itself. */
  readonly workersMin: number;
  /** The newest generation of the journal; the first one formed is the next. */
  readonly generation: number;
  /** workerIds of that generation that may come back, in rank order. */
  readonly membersBefore: readonly string[];
  /** That generation computes again up to this step; null: it does not. */
  readonly replayTo: number | null;
  readonly shards: number;
  /** Numbers reported a sample: the loss and the metrics. */
  readonly reports: number;
  /** Batches of an evaluation. */
  readonly evaluationBatches: number;
  /** Step of the newest checkpoint; null where there is none. */
  readonly checkpointStep: number | null;
  /** The last step to take now. */
  readonly endStep: number;
  /** Of the whole run, which a worker may have come to before it was to end earlier. */
  readonly steps: number;
  evaluateAfter(step: number): boolean;
  checkpointAfter(step: number): boolean;
}

export interface Worker {
  readonly connection: ConnectionId;
  readonly address: string;
  hello: Hello | null;
  /** The newest generation it was in, under whichever coordinator; 0: none, so that it can have no state. */
  memberOf: number;
  dataRequested: boolean;
  /** Holds the data set. */
  hasData: boolean;
  /** It wants to leave. */
  leaving: boolean;
  /** It said that it cannot go on: no further membership has it, and it waits to be told how the run ends. */
  failed: boolean;
  /** What it has, in this generation; undefined until it has said so. */
  standing: number | null | undefined;
  ready: boolean;
  finished: { readonly step: number; readonly weightsSha256: string } | null;
}

export function newWorker(connection: ConnectionId, address: string): Worker {
  return {
    connection,
    address,
    hello: null,
    memberOf: 0,
    dataRequested: false,
    hasData: false,
    leaving: false,
    failed: false,
    standing: undefined,
    ready: false,
    finished: null,
  };
}
