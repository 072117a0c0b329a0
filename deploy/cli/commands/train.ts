// `lockstep train`: coordinator in this process, workers as processes beside it, or (--workers 0) all in this one.

import { Command } from 'commander';
import type { RunResult } from '../../../src/engine/events.ts';
import type { BackendName } from '../../../src/kernels/backend.ts';
import { machineMemory } from '../../../src/platform/machine-memory.ts';
import { checkDataset, checkMinWorkers, checkModel, checkStop, planLanes, stepsOf } from '../check-run.ts';
import type { Context } from '../context.ts';
import { loadRunConfig, loadRunData } from '../load-run.ts';
import {
  addRunOptions,
  backendOption,
  type KeepOptions,
  minWorkersOption,
  type OverrideOptions,
  path,
  workersOption,
  workerThreadsOption,
} from '../options.ts';
import { runDirectory } from '../run-directory.ts';
import { runSession } from '../run-session.ts';

export interface TrainCommandOptions extends OverrideOptions, KeepOptions {
  readonly workers: number;
  readonly minWorkers?: number;
  readonly threads?: number;
  readonly backend?: BackendName;
}

export interface TrainOutcome {
  /** Null where a signal came before the first step. */
  readonly result: RunResult | null;
  readonly out: string;
}

const examples = `
Examples:
  $ lockstep train examples/digits-cnn.json --workers 2 --threads 1
  $ lockstep train examples/mnist-cnn.json --data ../mnist --epochs 5
  $ lockstep train examples/digits-cnn.json --stop-after 100 --out runs/a
  $ lockstep train examples/digits-cnn.json --resume --out runs/a --workers 3

The weights' SHA-256 is the same for every number of workers and threads.`;

export function trainCommand(context: Context): Command {
  const command = new Command('train')
    .summary('train the model of a config')
    .description(
      'Trains the model of CONFIG on this machine: JSON, or a module with `export default defineConfig({...})`.',
    )
    .argument('<config>', 'config file', path)
    .addOption(workersOption('worker processes; 0 computes in this process, without sockets').default(0))
    .addOption(minWorkersOption())
    .addOption(workerThreadsOption())
    .addOption(backendOption());
  return addRunOptions(command)
    .addHelpText('after', examples)
    .action(async (configPath: string, options: TrainCommandOptions) => {
      await train(context, configPath, options);
    });
}

/** Checks everything that can be wrong, cheapest first, then trains. */
export async function train(
  context: Context,
  configPath: string,
  options: TrainCommandOptions,
): Promise<TrainOutcome> {
  const workersMin = options.minWorkers ?? 1;
  checkMinWorkers(options.workers, workersMin);
  const config = await loadRunConfig(configPath, options);
  const lanes = planLanes({ workers: options.workers, threads: options.threads }, config, context.cores);
  checkModel(config, machineMemory());
  const resume = options.resume === true;
  const directory = runDirectory(config.name, options.out, resume);
  const out = directory.path;
  try {
    const dataset = await loadRunData(config, configPath, options.data);
    checkDataset(config, dataset);
    checkStop(options.stopAfter, stepsOf(config, dataset.train.samples));
    const session = { out, json: options.json === true, resume };
    const result = await runSession(context, session, (signal, onEvent) =>
      context.api.trainCluster({
        config,
        dataset,
        out,
        ...lanes,
        workersMin,
        backend: options.backend,
        resume,
        stopAfterStep: options.stopAfter,
        signal,
        onEvent,
      }),
    );
    return { result, out };
  } finally {
    directory.removeIfEmpty();
  }
}
