// What a joiner does before it says that it is ready, while the others go on: the first membership then finds threads that
// run, a compiler that is warm, and code that has run once. It works on an arena of its own, of which nothing is kept.

import type { Dataset } from '../src/data/dataset.ts';
import type { Assignment } from '../src/engine/contract.ts';
import { StepSchedule } from '../src/engine/schedule.ts';
import { compileFor, type RunModel, setInitialState } from './engine.ts';
import { LanePool } from './lanes/lane-pool.ts';
import type { LaneThreads } from './lanes/lane-threads.ts';

/** Beyond this an arena takes more time and memory than the warm code gives back. */
const arenaBytesMax = 64 * 1024 * 1024;

/** One step and one batch of an evaluation. Throws LockstepError. */
export async function warmUp(run: RunModel, dataset: Dataset, threads: LaneThreads): Promise<void> {
  const compiled = compileFor(run, likelyAssignment(run.config.shards, threads.lanes));
  if (compiled.arenaSize * Float32Array.BYTES_PER_ELEMENT > arenaBytesMax) return;
  const pool = await LanePool.create({ compiled, threads, splits: dataset });
  const { batch, seed, optimizer } = run.config;
  const schedule = new StepSchedule({ samples: dataset.train.samples, batch, seed, optimizer, steps: 1 });
  setInitialState(pool.memory, run);
  pool.memory.writeStepTable(0, schedule.at(1));
  for (const [index, segment] of [...compiled.step, ...compiled.update].entries()) {
    await pool.run(segment, 0, { gather: index === 0 ? 'train' : null });
  }
  await pool.run(compiled.evaluate, 0, { gather: 'train' });
  pool.close();
}

/** With peers, whose programs have the most kinds of segments; who they are is not known yet. */
function likelyAssignment(shards: number, lanes: number): Assignment {
  const half = Math.ceil(shards / 2);
  return { shards, firstShard: 0, endShard: half, boundaries: [0, half, shards], lanes };
}
