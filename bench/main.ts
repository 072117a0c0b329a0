// npm run bench: this machine's limits, kernels, whole training steps, the all-reduce, and peers beside ours (I/O).
// Figures are ratios of one run on one machine; nothing here is a test.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import {
  type BenchFigures,
  type BenchOptions,
  runSections,
  type SectionName,
  sectionNames,
} from './sections.ts';

function list(text: string): string[] {
  return text.split(',').filter((part) => part !== '');
}

function sections(text: string): SectionName[] {
  return list(text).map((name) => {
    const section = sectionNames.find((known) => known === name);
    if (section) return section;
    throw new InvalidArgumentError(`It must be among ${sectionNames.join(', ')}.`);
  });
}

interface CommandOptions extends Omit<BenchOptions, 'print'> {
  readonly json?: boolean;
  readonly save?: string;
}

async function bench({ json, save, ...options }: CommandOptions): Promise<void> {
  const print = (text: string): void => void (json ? process.stderr : process.stdout).write(text);
  const figures: BenchFigures = await runSections({ ...options, print });
  const text = `${JSON.stringify(figures, null, 2)}\n`;
  if (json) process.stdout.write(text);
  if (save === undefined) return;
  mkdirSync(dirname(save), { recursive: true });
  writeFileSync(save, text);
}

const seconds = 'about 1 to 3 minutes, and 10 more with --peers';
await new Command('bench')
  .description(`Measures this machine, then Lockstep on it (${seconds}). Use an idle machine.`)
  .option('--only <sections>', `some of ${sectionNames.join(', ')}`, sections)
  .option('--workload <names>', 'some workloads: W3, w2-b64 ...', list, [])
  .option('--isa <names>', 'kernels: some of avx512, avx2, relaxed', list, [])
  .option(
    '--peers <directory>',
    'run the PyTorch scripts of this directory beside ours (PYTHON names the interpreter)',
  )
  .option('--rounds <n>', 'with --peers: turns of each', Number, 2)
  .option('--json', 'figures as JSON on stdout, tables on stderr')
  .option('--save <file>', 'figures as JSON into a file')
  .action(bench)
  .parseAsync();
