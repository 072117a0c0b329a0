// Checks between options, config and machine, before anything is started. Pure.

import { isLoopback } from '../../proto/transport/loopback.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import { type DataConfig, knownInputShape } from '../../src/config/schema-data.ts';
import { type Dataset, datasetBytes } from '../../src/data/dataset.ts';
import { checkFit } from '../../src/data/fit.ts';
import { type MachineMemory, requireMemory } from '../../src/engine/memory-budget.ts';
import { LockstepError } from '../../src/errors.ts';
import { buildModel } from '../../src/nn/build.ts';
import { machineMemory } from '../../src/platform/machine-memory.ts';
import type { Address } from './run-api.ts';

export interface Lanes {
  readonly workers: number;
  readonly threads: number;
}

/**
 * Threads of each worker: as asked, else the cores shared out, never more than there are shards for.
 * Throws LOCKSTEP_USAGE where there are more workers than shards: some would never compute anything.
 */
export function planLanes(
  asked: { readonly workers: number; readonly threads: number | undefined },
  config: RunConfig,
  cores: number,
): Lanes {
  const { shards } = config;
  const processes = Math.max(1, asked.workers);
  if (processes > shards) {
    throw new LockstepError(
      'LOCKSTEP_USAGE',
      `${processes} workers need at least ${processes} shards, but the run has ${shards}: ` +
        `use fewer, or set shards to ${processes} in the config or by --shards (this changes the result)`,
    );
  }
  const most = Math.max(1, Math.floor(shards / processes));
  const threads = asked.threads ?? Math.min(most, Math.max(1, Math.floor(cores / processes)));
  return { workers: asked.workers, threads };
}

/** Throws LOCKSTEP_USAGE where a run would pause for ever. */
export function checkMinWorkers(workers: number, workersMin: number): void {
  if (workersMin <= Math.max(1, workers)) return;
  throw new LockstepError(
    'LOCKSTEP_USAGE',
    `--min-workers ${workersMin} is more than --workers ${workers}: the run would not begin`,
  );
}

/** Throws LOCKSTEP_INSECURE for an address that other machines reach, unless TLS is spoken or --insecure says that this is meant. */
export function checkExposure(listen: Address, insecure: boolean, hasTls = false): void {
  if (isLoopback(listen.host) || insecure || hasTls) return;
  throw new LockstepError(
    'LOCKSTEP_INSECURE',
    `${listen.host} can be reached by other machines and the traffic is not encrypted: ` +
      'add --insecure if the network is trusted, or give --tls-cert and --tls-key',
  );
}

/** Throws where the run would go over a network in clear, or TLS is wanted and not asked for. */
export function checkJoin(joinUrl: string, insecure: boolean, hasTls: boolean): void {
  const { protocol, hostname, host } = new URL(joinUrl);
  if (protocol === 'wss:') return;
  if (hasTls) {
    throw new LockstepError(
      'LOCKSTEP_USAGE',
      `--join ${joinUrl} is without TLS: use wss://${host} with --tls-*`,
    );
  }
  if (isLoopback(hostname) || insecure) return;
  throw new LockstepError(
    'LOCKSTEP_INSECURE',
    `--join ${joinUrl} would send the run over the network in clear: use wss:// with a coordinator that has ` +
      '--tls-cert, or add --insecure if the network is trusted',
  );
}

/** Throws LOCKSTEP_USAGE where a run of `steps` would stop at a step beyond its end. */
export function checkStop(stopAfter: number | undefined, steps: number): void {
  if (stopAfter === undefined || stopAfter <= steps) return;
  throw new LockstepError(
    'LOCKSTEP_USAGE',
    `--stop-after ${stopAfter} lies beyond the end of the run, which has ${steps} steps`,
  );
}

/** Throws LOCKSTEP_USAGE where a directory of data is named and the config has no files. */
export function checkData({ kind }: DataConfig, directory: string | undefined): void {
  if (directory === undefined || kind === 'csv' || kind === 'idx') return;
  throw new LockstepError(
    'LOCKSTEP_USAGE',
    `--data ${directory}: the data of this config (${kind}) is made by the program, not read from files; leave out --data`,
  );
}

/** Steps of the whole run. */
export function stepsOf(config: RunConfig, trainSamples: number): number {
  return config.steps ?? (config.epochs ?? 0) * Math.ceil(trainSamples / config.batch);
}

/**
 * Throws LOCKSTEP_MODEL_INVALID where the model is wrong in itself; with `dataset` also what checkFit throws, and without it
 * LOCKSTEP_OUT_OF_MEMORY where the config alone tells that the data set does not fit.
 */
export function checkModel(config: RunConfig, dataset?: Dataset): void {
  const model = buildModel(config.model, { loss: config.loss, metrics: config.metrics });
  if (dataset !== undefined) checkFit(dataset, { ...model, loss: config.loss });
  else checkDrawnData(config.data, model.targetSize, machineMemory());
}

/** Data that the program makes itself is there twice at the most: as it is drawn, and scaled. */
function checkDrawnData(data: DataConfig, targetSize: number, machine: MachineMemory): void {
  const inputShape = knownInputShape(data);
  if (inputShape === null || (data.kind !== 'digits' && data.kind !== 'synthetic')) return;
  const bytes = datasetBytes({ inputShape, targetSize }, data.train + data.test);
  // Digits are drawn as bytes.
  const drawn = data.kind === 'digits' ? bytes / Float32Array.BYTES_PER_ELEMENT : bytes;
  requireMemory('the data', { 'data set': bytes + drawn }, machine);
}
