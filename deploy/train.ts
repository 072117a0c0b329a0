// Training from a program: the same run as `lockstep train`, with a function in place of a display.

import { availableParallelism } from 'node:os';
import { loadConfigFile } from '../src/config/load.ts';
import { parseConfig } from '../src/config/parse.ts';
import type { ConfigInput, RunConfig } from '../src/config/schema.ts';
import { loadDataset } from '../src/data/load.ts';
import type { RunResult, StopSignal } from '../src/engine/events.ts';
import { LockstepError } from '../src/errors.ts';
import { checkModel, planLanes } from './cli/check-run.ts';
import { runDirectory } from './cli/run-directory.ts';
import { runFunctions } from './cli/run-functions.ts';
import { checkSettings, type TrainSettings, unreadable } from './settings.ts';

/**
 * Trains `config` (an object, or the path of a config file) and resolves with how it ended.
 * @throws LockstepError for everything that can be wrong with settings, config, data, machine or workers; what a callback of
 * `settings` throws comes out as it is
 */
export async function train(config: ConfigInput | string, settings: TrainSettings = {}): Promise<RunResult> {
  const { workers = 0, threads, backend, data = '.', out, resume = false, ...rest } = checkSettings(settings);
  const run = await readConfig(config);
  checkModel(run);
  const lanes = planLanes({ workers, threads }, run, availableParallelism());
  const directory = runDirectory(run.name, out, resume);
  const stop = stopSignalOf(rest.signal);
  try {
    const dataset = await loadDataset(run.data, { directory: data });
    checkModel(run, dataset);
    return await runFunctions.trainCluster({
      config: run,
      dataset,
      out: directory.path,
      ...lanes,
      backend,
      resume,
      stopAfterStep: rest.stopAfterStep,
      signal: stop.signal,
      onEvent: rest.onEvent ?? (() => undefined),
    });
  } finally {
    stop.release();
    directory.removeIfEmpty();
  }
}

async function readConfig(config: unknown): Promise<RunConfig> {
  if (config === '') {
    const message = 'config: expected an object or the path of a config file, got ""';
    throw new LockstepError('LOCKSTEP_CONFIG_NOT_FOUND', message);
  }
  if (typeof config === 'string') return loadConfigFile(config);
  try {
    return parseConfig(config, 'config');
  } catch (error) {
    if (error instanceof LockstepError) throw error;
    throw unreadable('config', error);
  }
}

interface HeldSignal {
  readonly signal: StopSignal;
  /** The run is over: an AbortSignal that lives on does not keep it in memory. */
  release(): void;
}

const nothing = (): void => undefined;

function stopSignalOf(given: AbortSignal | StopSignal | undefined): HeldSignal {
  if (given === undefined) return { signal: { stopRequested: false, onStop: nothing }, release: nothing };
  if (!(given instanceof AbortSignal)) return { signal: given, release: nothing };
  let listener = nothing;
  const signal: StopSignal = {
    get stopRequested() {
      return given.aborted;
    },
    onStop: (stop) => {
      listener = stop;
      if (given.aborted) stop();
      else given.addEventListener('abort', stop, { once: true });
    },
  };
  return { signal, release: () => given.removeEventListener('abort', listener) };
}
