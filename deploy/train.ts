// Training from a program: the same run as `lockstep train`, with a function in place of a display.

import { availableParallelism } from 'node:os';
import { loadConfigFile } from '../src/config/load.ts';
import { parseConfig } from '../src/config/parse.ts';
import type { ConfigInput, RunConfig } from '../src/config/schema.ts';
import { loadDataset } from '../src/data/load.ts';
import type { RunEvent, RunResult, StopSignal } from '../src/engine/events.ts';
import type { BackendName } from '../src/kernels/backend.ts';
import { checkModel, planLanes } from './cli/check-run.ts';
import { runDirectory } from './cli/run-directory.ts';
import { runFunctions } from './cli/run-functions.ts';

export interface TrainSettings {
  /** Worker processes; 0 (the default) computes in this process. */
  readonly workers?: number;
  /** Compute threads of each worker; the cores shared out, unless given. */
  readonly threads?: number;
  /** The default is native where it is built, else wasm. */
  readonly backend?: BackendName;
  /** Directory of data files named in the config; the working directory unless given. */
  readonly data?: string;
  /** Directory for checkpoints; runs/NAME unless given. */
  readonly out?: string;
  /** Go on from the newest good checkpoint in `out`. */
  readonly resume?: boolean;
  /** Stop, with a checkpoint, once this many steps are committed. */
  readonly stopAfterStep?: number;
  readonly onEvent?: (event: RunEvent) => void;
  readonly signal?: StopSignal;
}

const neverStopped: StopSignal = { stopRequested: false, onStop: () => undefined };

/**
 * Trains `config` (an object, or the path of a config file) and resolves with how it ended.
 * @throws LockstepError for everything that can be wrong with config, data, machine or workers
 */
export async function train(config: ConfigInput | string, settings: TrainSettings = {}): Promise<RunResult> {
  const run: RunConfig =
    typeof config === 'string' ? await loadConfigFile(config) : parseConfig(config, 'config');
  checkModel(run);
  const lanes = planLanes(
    { workers: settings.workers ?? 0, threads: settings.threads },
    run,
    availableParallelism(),
  );
  const resume = settings.resume ?? false;
  const directory = runDirectory(run.name, settings.out, resume);
  try {
    const dataset = await loadDataset(run.data, { directory: settings.data ?? '.' });
    checkModel(run, dataset);
    return await runFunctions.trainCluster({
      config: run,
      dataset,
      out: directory.path,
      ...lanes,
      backend: settings.backend,
      resume,
      stopAfterStep: settings.stopAfterStep,
      signal: settings.signal ?? neverStopped,
      onEvent: settings.onEvent ?? (() => undefined),
    });
  } finally {
    directory.removeIfEmpty();
  }
}
