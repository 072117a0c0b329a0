// `lockstep evaluate`: loss and metrics of a checkpoint on held-out samples.

import { Command } from 'commander';
import type { SplitName } from '../../../src/data/raw.ts';
import type { BackendName } from '../../../src/kernels/backend.ts';
import { inferCheckpoint } from '../../inference.ts';
import type { Context } from '../context.ts';
import { openData, openNamed, splitOption } from '../open-checkpoint.ts';
import { backendOption, dataOption, jsonOption, path, threadsOption } from '../options.ts';
import { formatCount, formatMetric } from '../progress/format.ts';

interface EvaluateOptions {
  readonly data?: string;
  readonly split: SplitName;
  readonly backend?: BackendName;
  readonly threads?: number;
  readonly json?: boolean;
}

const examples = `
Examples:
  $ lockstep evaluate runs/digits-cnn                          (the newest good checkpoint of a run)
  $ lockstep evaluate runs/mnist-cnn --data ../mnist --json`;

export function evaluateCommand(context: Context): Command {
  return new Command('evaluate')
    .summary('loss and metrics of a checkpoint')
    .description(
      'Computes loss and metrics of a checkpoint on the held-out samples of its config, scaled as the run scaled its data.',
    )
    .argument('<checkpoint>', 'checkpoint, or directory of a run', path)
    .addOption(dataOption('where the run read them'))
    .addOption(splitOption())
    .addOption(threadsOption())
    .addOption(backendOption())
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', examples)
    .action((target: string, options: EvaluateOptions) => evaluate(context, target, options));
}

async function evaluate(context: Context, target: string, options: EvaluateOptions): Promise<void> {
  const opened = await openNamed(target, context.stderr);
  const dataset = await openData(opened, options, context.stderr);
  const { metrics, samples } = await inferCheckpoint({
    ...opened,
    dataset,
    split: options.split,
    backend: options.backend,
    threads: options.threads ?? context.cores,
  });
  const { step } = opened.checkpoint;
  if (options.json) {
    const event = {
      event: 'evaluation',
      step,
      checkpoint: opened.path,
      split: options.split,
      samples,
      metrics,
    };
    context.stdout.write(`${JSON.stringify(event)}\n`);
    return;
  }
  const lines = Object.entries(metrics).map(([name, value]) => formatMetric(name, value));
  context.stdout.write(`${lines.join('\n')}\n`);
  context.stderr.write(
    `${opened.path}, step ${formatCount(step)}, ${formatCount(samples)} ${options.split} samples\n`,
  );
}
