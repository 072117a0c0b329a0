// Times the dense and convolution kernels of one variant on one lane (I/O: a process of its own, because which Node.js
// runs it may matter). Prints JSON lines. Usage: child VARIANT WORKLOAD ...

import { compileProgram } from '../../src/compile/compile.ts';
import { loadDataset } from '../../src/data/load.ts';
import { EngineMemory } from '../../src/engine/memory.ts';
import { StepSchedule } from '../../src/engine/schedule.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { modelOfRun, setInitialState } from '../../worker/engine.ts';
import { loadBackend } from '../../worker/lanes/load-backend.ts';
import { assignmentOf } from '../profile/measure.ts';
import { timelineOf } from '../profile/timeline.ts';
import { quantile } from '../report/statistics.ts';
import { undisturbedClock } from '../report/undisturbed-clock.ts';
import { loadWorkloads, type Workload } from '../workloads.ts';
import { linearCalls } from './linear.ts';

const budgetMs = 250;
const runsMin = 8;
const runsMax = 2000;
const countedQuantile = 0.1;

const clock = undisturbedClock();

/** Milliseconds of a run, undisturbed. */
function timeOf(run: () => void): number {
  const times: number[] = [];
  let spentMs = 0;
  run();
  while (times.length < runsMin || (spentMs < budgetMs && times.length < runsMax)) {
    const before = clock();
    run();
    const tookMs = clock() - before;
    times.push(tookMs);
    spentMs += tookMs;
  }
  return quantile(times, countedQuantile);
}

async function timeWorkload({ config }: Workload, backend: Backend): Promise<void> {
  const dataset = await loadDataset(config.data, { directory: '.' });
  const run = modelOfRun(config, dataset);
  const program = compileProgram(run.compileOptions(assignmentOf(config.shards, 1, 1)));
  const { compiled } = program;
  const arena = backend.createArena(compiled.arenaSize);
  const memory = new EngineMemory(compiled, arena);
  setInitialState(memory, run);
  const { batch, seed, optimizer } = config;
  const schedule = new StepSchedule({ samples: dataset.train.samples, batch, seed, optimizer, steps: 1 });
  const rows = memory.writeStepTable(0, schedule.at(1));
  const runner = backend.attach(arena.handle, 0);
  const table = memory.tableAt(0);
  const instructions = timelineOf(program, rows);
  arena.floats.set(dataset.train.inputs.subarray(0, rows * compiled.inputSize), compiled.inputs.offset);
  for (const { from, to } of instructions) runner.run(from, to, table);
  for (const { kernel, shape, from, to, flops } of linearCalls(instructions, arena.ints, rows)) {
    const ms = timeOf(() => runner.run(from, to, table));
    const line = {
      workload: config.name,
      variant: backend.variant,
      kernel,
      shape,
      ms,
      gflops: flops / ms / 1e6,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

const [variant, ...only] = process.argv.slice(2);
const isWasm = variant === 'relaxed' || variant === 'strict';
const backend = loadBackend(isWasm ? 'wasm' : 'native', variant ?? '');
for (const workload of await loadWorkloads(only)) await timeWorkload(workload, backend);
