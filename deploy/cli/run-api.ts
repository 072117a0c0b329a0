// What the command line needs from the engine: the functions behind train, coordinator, worker, evaluate and predict.
// Commands are written against this interface; run-functions.ts fills it.

import type { TlsIdentity } from '../../proto/transport/tls.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import type { TrainingData } from '../../src/data/dataset.ts';
import type { RunEvent, RunResult, StopSignal } from '../../src/engine/events.ts';
import type { BackendName } from '../../src/kernels/backend.ts';

export type OnEvent = (event: RunEvent) => void;

export interface Address {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** What every run has, wherever its workers are. */
export interface RunOptions {
  readonly config: RunConfig;
  readonly dataset: TrainingData;
  /** Directory for checkpoints and metrics. */
  readonly out: string;
  /** With fewer workers the run pauses, and goes on by itself when there are enough. */
  readonly workersMin?: number;
  /** Go on from the newest good checkpoint in `out`. */
  readonly resume: boolean;
  /** Stop, with a checkpoint, once this many steps are committed; the run can be resumed. */
  readonly stopAfterStep: number | undefined;
  readonly signal: StopSignal;
  readonly onEvent: OnEvent;
}

export interface TrainOptions extends RunOptions {
  /** Worker processes spawned here; 0: this process computes alone, without sockets. */
  readonly workers: number;
  /** Compute threads of each worker. */
  readonly threads: number;
  readonly backend: BackendName | undefined;
}

export interface CoordinatorOptions extends RunOptions {
  readonly listen: Address;
  /** Workers to wait for before the first step. */
  readonly workers: number;
  readonly token: string | undefined;
  readonly tls?: TlsIdentity | undefined;
  /** Allows an address other than loopback without TLS. */
  readonly insecure: boolean;
}

export interface WorkerOptions {
  /** ws://HOST:PORT of the coordinator, or wss://HOST:PORT. */
  readonly joinUrl: string;
  readonly token: string | undefined;
  /** How long a coordinator that is not there yet is waited for, in milliseconds; 30 s unless said. */
  readonly waitMs?: number;
  readonly threads: number;
  readonly backend: BackendName | undefined;
  /** Where other workers reach this one. */
  readonly listen: Address;
  /** The address they are told in place of it; port 0: the one listened at. */
  readonly advertise?: Address | undefined;
  readonly tls?: TlsIdentity | undefined;
  readonly insecure: boolean;
  readonly signal: StopSignal;
  readonly onEvent: OnEvent;
  /** The coordinator answered, at first and whenever it had been away. */
  readonly onConnected?: ((workerId: string) => void) | undefined;
}

export interface WorkerResult {
  readonly workerId: string;
  /** Steps this worker took part in. */
  readonly steps: number;
  /** The step after which the coordinator stopped the run; null where it came to its end, or this worker left. */
  readonly stoppedAt: number | null;
}

export interface RunApi {
  trainCluster(options: TrainOptions): Promise<RunResult>;
  serveCoordinator(options: CoordinatorOptions): Promise<RunResult>;
  runWorker(options: WorkerOptions): Promise<WorkerResult>;
}
