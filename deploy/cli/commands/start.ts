// `lockstep start` (what `npm start` runs): the first run of a newcomer, with two workers, and what to try next.

import { join } from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../../../src/platform/package-root.ts';
import type { Context } from '../context.ts';
import { jsonOption, workersOption, workerThreadsOption } from '../options.ts';
import { train } from './train.ts';

interface StartOptions {
  readonly workers: number;
  readonly threads: number;
  readonly json?: boolean;
}

export function startCommand(context: Context): Command {
  return new Command('start')
    .summary('a first run: digits, two workers, under a minute')
    .description(
      'Trains examples/digits-cnn.json on digits that the program draws itself, with a coordinator and workers.',
    )
    .addOption(workersOption('worker processes').default(2))
    .addOption(workerThreadsOption(1))
    .addOption(jsonOption())
    .action(async (options: StartOptions) => {
      const config = join(packageRoot(), 'examples', 'digits-cnn.json');
      const { workers, threads } = options;
      const typed = [
        'npx',
        'lockstep',
        'train',
        config,
        '--workers',
        `${workers}`,
        '--threads',
        `${threads}`,
      ];
      const { out, result } = await train({ ...context, typed }, config, options);
      if (!options.json && result?.stopped === false)
        context.stdout.write(`\n${nextCommands(out).join('\n')}\n`);
    });
}

function nextCommands(out: string): string[] {
  const rows: readonly (readonly [string, string])[] = [
    ['npm start -- --workers 3', 'another cluster, the same SHA-256'],
    ['npx lockstep train examples/digits-cnn.json --workers 0', 'one process, the same SHA-256'],
    [`npx lockstep evaluate ${out}`, 'loss and accuracy of the checkpoint'],
    [`npx lockstep inspect ${out}`, 'its tensors and their hashes'],
    ['npx lockstep doctor', 'what this machine can compute with'],
  ];
  const width = Math.max(...rows.map(([command]) => command.length));
  return ['Next:', ...rows.map(([command, meaning]) => `  ${command.padEnd(width)}  # ${meaning}`)];
}
