// Runs training steps of a config under the clock, instruction by instruction and as a whole (I/O: threads).

import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { compileProgram } from '../../src/compile/compile.ts';
import type { RunConfig } from '../../src/config/schema.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import type { Assignment } from '../../src/engine/contract.ts';
import { EngineMemory } from '../../src/engine/memory.ts';
import { StepSchedule } from '../../src/engine/schedule.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { shardStart } from '../../src/numerics/tree.ts';
import { packageRoot } from '../../src/platform/package-root.ts';
import { modelOfRun, setInitialState } from '../../worker/engine.ts';
import type { ProfiledLane } from './lane-thread.ts';
import { type TimedInstruction, timelineOf } from './timeline.ts';

export interface Profile {
  readonly instructions: readonly TimedInstruction[];
  /** Samples of this worker in a step. */
  readonly rows: number;
  readonly lanes: number;
  /** [lane][step][1 + instruction], milliseconds; the first is the taking of the samples. */
  readonly times: readonly (readonly (readonly number[])[])[];
}

/** The shards of rank 0 of `world` workers; exchanges between workers are left out. */
export function assignmentOf(shards: number, world: number, lanes: number): Assignment {
  const boundaries = Array.from({ length: world + 1 }, (_, rank) => Math.floor((rank * shards) / world));
  return { shards, firstShard: 0, endShard: boundaries[1]!, boundaries, lanes };
}

export async function measureProfile(options: {
  readonly config: RunConfig;
  readonly dataset: Dataset;
  readonly backend: Backend;
  readonly world: number;
  readonly lanes: number;
  readonly steps: number;
}): Promise<Profile> {
  const { config, dataset, backend, world, lanes, steps } = options;
  const run = modelOfRun(config, dataset);
  const assignment = assignmentOf(config.shards, world, lanes);
  const program = compileProgram(run.compileOptions(assignment));
  const { compiled } = program;
  const memory = new EngineMemory(compiled, backend.createArena(compiled.arenaSize));
  setInitialState(memory, run);
  const { batch, seed, optimizer } = config;
  const schedule = new StepSchedule({ samples: dataset.train.samples, batch, seed, optimizer, steps: 1 });
  const ring = compiled.tables.count;
  for (let slot = 0; slot < ring; slot += 1) memory.writeStepTable(slot, schedule.at(slot + 1));
  const rows = shardStart(assignment.endShard, Math.min(batch, dataset.train.samples), config.shards);
  const instructions = timelineOf(program, rows);
  const { train, test } = dataset;
  const shared: Omit<ProfiledLane, 'lane' | 'times'> = {
    compiled,
    backend: backend.name,
    variant: backend.variant,
    arena: memory.arena.handle,
    splits: {
      train: { inputs: train.inputs, targets: train.targets },
      test: { inputs: test.inputs, targets: test.targets },
    },
    instructions: instructions.map(({ from, to }) => [from, to]),
    tables: Array.from({ length: steps }, (_, step) => memory.tableAt(step % ring)),
  };
  const width = instructions.length + 1;
  const times = await Promise.all(
    Array.from({ length: lanes }, (_, lane) => runLane(shared, lane, steps, width)),
  );
  return { instructions, rows, lanes, times };
}

async function runLane(
  shared: Omit<ProfiledLane, 'lane' | 'times'>,
  lane: number,
  steps: number,
  width: number,
): Promise<number[][]> {
  const times = new Float64Array(new SharedArrayBuffer(8 * steps * width));
  const workerData: ProfiledLane = { ...shared, lane, times };
  const thread = new Worker(join(packageRoot(), 'dist/bench/profile/lane-thread.js'), { workerData });
  await new Promise<void>((resolve, reject) => {
    thread.once('message', () => resolve());
    thread.once('error', reject);
  });
  await thread.terminate();
  return Array.from({ length: steps }, (_, step) => [...times.subarray(step * width, (step + 1) * width)]);
}
