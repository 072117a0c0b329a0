// Does the run fit into the memory of this machine, with all workers that are on it? Looked at before a weight is drawn or a
// worker started, so that the system does not end it in the middle. Pure.

import { differentiate } from '../../src/autodiff/differentiate.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { datasetBytes } from '../../src/data/dataset.ts';
import type { CompiledModel } from '../../src/engine/contract.ts';
import {
  addNeeds,
  arenaTooLarge,
  checkpointNeeds,
  judgeMemory,
  type MemoryNeeds,
  processNeeds,
  workerNeeds,
} from '../../src/engine/memory-budget.ts';
import type { RunPlan } from '../run-plan.ts';
import type { Finding, RunFacts } from './finding.ts';

export function exceedsMemory({ plan, threads, machine }: RunFacts): Finding | null {
  const workers = threads === null ? [] : workerPrograms(plan, threads);
  for (const compiled of workers.slice(0, 1)) {
    const message = arenaTooLarge(compiled, machine);
    if (message !== null) return { is: 'error', code: 'LOCKSTEP_OUT_OF_MEMORY', message };
  }
  const verdict = judgeMemory('the run', needsOf(plan, workers), machine);
  return verdict.is === 'fits' ? null : verdict;
}

/** What a run with these workers needs beside what this process, which has the data set, holds already. */
export function needsOf(plan: RunPlan, workers: readonly CompiledModel[]): MemoryNeeds {
  const { dataset, layout } = plan;
  const data = datasetBytes(dataset, dataset.train.samples + dataset.test.samples);
  const [first] = workers;
  if (first === undefined) {
    const floats = layout.sections.reduce((sum, { size }) => sum + size, 0);
    return { 'checkpoint copies': floats * Float32Array.BYTES_PER_ELEMENT };
  }
  const processes = plan.workers === 0 ? [] : workers.map(() => processNeeds(data));
  return addNeeds(checkpointNeeds(first, 2), ...workers.map(workerNeeds), ...processes);
}

/** The program of each worker on this machine, the shards divided as evenly as the coordinator does. */
export function workerPrograms(plan: RunPlan, lanes: number): CompiledModel[] {
  const { config, model } = plan;
  const { shards, optimizer, clipNorm, batch, bucketBytes } = config;
  const training = differentiate(model.graph);
  const count = Math.max(1, plan.workers);
  const boundaries = Array.from({ length: count + 1 }, (_, rank) => Math.floor((rank * shards) / count));
  const bySize = new Map<string, CompiledModel>();
  return boundaries.slice(1).map((endShard, rank) => {
    const firstShard = boundaries[rank]!;
    // Workers with as many shards need as much, but for a node of the tree.
    const key = String(endShard - firstShard);
    const compiled =
      bySize.get(key) ??
      compileModel({
        model, training, optimizer, clipNorm, batch, bucketBytes,
        assignment: { shards, firstShard, endShard, boundaries, lanes },
      }); // biome-ignore format: a table
    bySize.set(key, compiled);
    return compiled;
  });
}
