// Where the time of a training step goes, instruction by instruction (I/O).
// node dist/bench/profile.js CONFIG [--lanes 2] [--world 1] [--seconds 3] [--backend native]

import { Command } from 'commander';
import { loadConfigFile } from '../src/config/load.ts';
import { loadDataset } from '../src/data/load.ts';
import type { BackendName } from '../src/kernels/backend.ts';
import { selectBackend } from '../src/kernels/select.ts';
import { measureProfile } from './profile/measure.ts';
import { instructionTable, kernelTable, profileRows } from './profile/report.ts';

interface Options {
  readonly lanes: string;
  readonly world: string;
  readonly seconds: string;
  readonly backend?: BackendName;
}

/** Steps of the first, short run, which tells how long a step takes. */
const trialSteps = 4;
const stepsMin = 20;
const stepsMax = 2000;

async function profile(path: string, options: Options): Promise<void> {
  const config = await loadConfigFile(path);
  const dataset = await loadDataset(config.data, { directory: '.' });
  const { backend } = selectBackend(options.backend);
  const run = { config, dataset, backend, world: Number(options.world), lanes: Number(options.lanes) };
  const trial = profileRows(await measureProfile({ ...run, steps: trialSteps }));
  const trialMs = trial.reduce((sum, { ms }) => sum + ms, 0);
  const wanted = Math.round((Number(options.seconds) * 1000) / trialMs);
  const steps = Math.min(stepsMax, Math.max(stepsMin, wanted));
  const measured = await measureProfile({ ...run, steps });
  const rows = profileRows(measured);
  const stepMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const flops = rows.reduce((sum, row) => sum + row.flops, 0);
  const rate = flops / stepMs / 1e6;
  const lines = [
    `${config.name}: ${measured.rows} rows, ${run.lanes} lanes, ${backend.name} ${backend.variant}, tenth percentile of ${steps} steps`,
    `step ${stepMs.toFixed(3)} ms, ${((1000 * measured.rows) / stepMs).toFixed(0)} samples/s, ${rate.toFixed(1)} GFLOPS (${(rate / run.lanes).toFixed(1)} a core)`,
  ];
  process.stdout.write(`${lines.join('\n')}\n\n${kernelTable(rows)}\n${instructionTable(rows)}`);
}

await new Command('profile')
  .description('Time of each instruction of a training step, in the step: rates are of one core.')
  .argument('<config>', 'config file')
  .option('--lanes <n>', 'threads', '2')
  .option('--world <n>', 'profile rank 0 of this many workers, exchanges left out', '1')
  .option('--seconds <n>', 'how long to run', '3')
  .option('--backend <name>', 'native, wasm or reference')
  .action(profile)
  .parseAsync();
