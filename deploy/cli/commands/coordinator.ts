// `lockstep coordinator`: forms a cluster of workers that are started elsewhere, and leads their run.

import { Command, Option } from 'commander';
import { LockstepError } from '../../../src/errors.ts';
import { machineMemory } from '../../../src/platform/machine-memory.ts';
import {
  checkDataset,
  checkExposure,
  checkMinWorkers,
  checkModel,
  checkStop,
  planLanes,
  stepsOf,
} from '../check-run.ts';
import type { Context } from '../context.ts';
import { loadRunConfig, loadRunData, readToken } from '../load-run.ts';
import {
  addRunOptions,
  address,
  insecureOption,
  integer,
  type KeepOptions,
  minWorkersOption,
  type OverrideOptions,
  path,
  tokenFileOption,
  workersMax,
} from '../options.ts';
import type { Address } from '../run-api.ts';
import { runDirectory } from '../run-directory.ts';
import { runSession } from '../run-session.ts';
import { addTlsOptions, readTls, type TlsOptions } from '../tls-files.ts';

interface CoordinatorCommandOptions extends OverrideOptions, KeepOptions, TlsOptions {
  readonly listen: Address;
  readonly workers: number;
  readonly minWorkers: number;
  readonly tokenFile?: string;
  readonly insecure?: boolean;
}

const defaultListen: Address = { host: '127.0.0.1', port: 7070 };
const examples = `
Examples:
  $ lockstep coordinator examples/digits-cnn.json --workers 2 --out runs/a
  $ lockstep worker --join ws://127.0.0.1:7070 --token-file runs/a/token    (twice, in other terminals)

  $ export LOCKSTEP_TOKEN=$(openssl rand -hex 32)    (the same on every machine)
  $ lockstep coordinator examples/digits-cnn.json --listen 0.0.0.0:7070 --workers 4 --tls-cert cert.pem --tls-key key.pem`;

export function coordinatorCommand(context: Context): Command {
  const command = new Command('coordinator')
    .summary('lead a cluster of workers started elsewhere')
    .description('Waits for workers, leads the training of CONFIG, keeps its checkpoints.')
    .argument('<config>', 'config file', path)
    .addOption(
      new Option('--listen <host:port>', 'address for workers')
        .argParser(address)
        .default(defaultListen, '127.0.0.1:7070'),
    )
    .addOption(
      new Option('--workers <count>', 'workers to wait for before the first step')
        .argParser(integer(1, workersMax))
        .default(1),
    )
    .addOption(minWorkersOption())
    .addOption(tokenFileOption())
    .addOption(insecureOption());
  addTlsOptions(command, {
    cert: 'to serve workers with over TLS',
    ca: 'whose certificate every worker must show',
  });
  return addRunOptions(command)
    .addHelpText('after', examples)
    .action((configPath: string, options: CoordinatorCommandOptions) =>
      coordinate(context, configPath, options),
    );
}

async function coordinate(
  context: Context,
  configPath: string,
  options: CoordinatorCommandOptions,
): Promise<void> {
  const insecure = options.insecure === true;
  const tls = readTls(options);
  if (tls !== undefined && tls.cert === undefined)
    throw new LockstepError(
      'LOCKSTEP_USAGE',
      '--tls-ca needs --tls-cert and --tls-key: a coordinator serves with them',
    );
  checkExposure(options.listen, insecure, tls !== undefined);
  checkMinWorkers(options.workers, options.minWorkers);
  const token = readToken(options.tokenFile);
  const config = await loadRunConfig(configPath, options);
  planLanes({ workers: options.workers, threads: 1 }, config, context.cores);
  checkModel(config, machineMemory());
  const resume = options.resume === true;
  const directory = runDirectory(config.name, options.out, resume);
  const out = directory.path;
  try {
    const dataset = await loadRunData(config, configPath, options.data);
    checkDataset(config, dataset);
    checkStop(options.stopAfter, stepsOf(config, dataset.train.samples));
    await runSession(context, { out, json: options.json === true, resume }, (signal, onEvent) =>
      context.api.serveCoordinator({
        config,
        dataset,
        out,
        listen: options.listen,
        workers: options.workers,
        workersMin: options.minWorkers,
        token,
        tls,
        insecure,
        resume,
        stopAfterStep: options.stopAfter,
        signal,
        onEvent,
      }),
    );
  } finally {
    directory.removeIfEmpty();
  }
}
