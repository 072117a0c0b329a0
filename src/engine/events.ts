// What a run tells while it goes: one object a happening, JSON-able, so that `--json` prints them as they are. Pure types.
// Who makes them: the coordinator, the single-process runner and workers. Who reads them: progress display and users.

import type { BackendName } from '../kernels/backend.ts';

/** Named numbers of a step or an evaluation; 'loss' is always there. */
export type Metrics = Readonly<Record<string, number>>;

export interface StartEvent {
  readonly event: 'start';
  readonly name: string;
  /** Worker processes; 0: all in one process, without sockets. */
  readonly workers: number;
  /** Compute threads of each. */
  readonly threads: number;
  readonly shards: number;
  readonly backend: BackendName;
  readonly variant: string;
  /** The numerics fingerprint: SHA-256, hex. */
  readonly fingerprint: string;
  /** Trained numbers of the model. */
  readonly parameters: number;
  readonly trainSamples: number;
  readonly testSamples: number;
  readonly batch: number;
  readonly stepsPerEpoch: number;
  /** Steps of the whole run, those before a resume included. */
  readonly steps: number;
  /** Committed steps at the start: 0, or those of the checkpoint resumed. */
  readonly firstStep: number;
  readonly seed: number;
  /** Directory of the run's checkpoints and metrics. */
  readonly out: string;
}

/** The coordinator accepts workers at this address. */
export interface ListeningEvent {
  readonly event: 'listening';
  readonly url: string;
  /** It does so at all addresses of its machine; the URL has one of them. */
  readonly isAny: boolean;
}

export interface MembershipEvent {
  readonly event: 'membership';
  readonly generation: number;
  /** World size. */
  readonly world: number;
  /** Workers wanted for the start, where a number was given. */
  readonly wanted: number | null;
  /** Why it changed, for people. */
  readonly reason: string;
}

export interface StepEvent {
  readonly event: 'step';
  /** Committed steps, from 1. */
  readonly step: number;
  /** From 1; that of the samples of this step. */
  readonly epoch: number;
  /** Mean over the samples of the global batch. */
  readonly loss: number;
  readonly metrics: Metrics;
  readonly learningRate: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly samplesPerSecond: number;
}

export interface EvaluationEvent {
  readonly event: 'evaluation';
  readonly step: number;
  readonly epoch: number;
  /** Means over the held-out samples. */
  readonly metrics: Metrics;
}

export interface CheckpointEvent {
  readonly event: 'checkpoint';
  readonly step: number;
  readonly path: string;
}

export interface NoticeEvent {
  readonly event: 'notice';
  readonly message: string;
}

export interface DoneEvent {
  readonly event: 'done';
  readonly steps: number;
  /** SHA-256 over the float32 little-endian bytes of all parameters and batch-norm statistics in the model's order. */
  readonly weightsSha256: string;
  /** Of the last evaluation; of the last step where there are no held-out samples. */
  readonly metrics: Metrics;
  /** Path of the last checkpoint. */
  readonly checkpoint: string | null;
  /** True where the run was stopped before its end and can be resumed. */
  readonly stopped: boolean;
}

export type RunEvent =
  | StartEvent
  | ListeningEvent
  | MembershipEvent
  | StepEvent
  | EvaluationEvent
  | CheckpointEvent
  | NoticeEvent
  | DoneEvent;

/** How a run ended: the last event without its tag. */
export type RunResult = Omit<DoneEvent, 'event'>;

/** How a run is asked to end early: it finishes the step in flight, writes a checkpoint and returns. */
export interface StopSignal {
  readonly stopRequested: boolean;
  /** `listener` is called once, when the stop is requested (at once where it already is). */
  onStop(listener: () => void): void;
}
