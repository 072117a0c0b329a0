// `lockstep predict`: what a checkpoint says of every sample, as CSV or NDJSON on stdout.

import { once } from 'node:events';
import { Command, Option } from 'commander';
import type { SplitName } from '../../../src/data/raw.ts';
import type { BackendName } from '../../../src/kernels/backend.ts';
import { inferCheckpoint, type PredictedBatch } from '../../inference.ts';
import type { Context } from '../context.ts';
import { openData, openNamed, splitOption } from '../open-checkpoint.ts';
import { backendOption, dataOption, path, threadsOption } from '../options.ts';
import { csvHeader, type PredictionShape, predictionCsv, predictionJson } from '../predictions.ts';

interface PredictOptions {
  readonly data?: string;
  readonly input?: string;
  readonly split: SplitName;
  readonly format: 'csv' | 'ndjson';
  readonly backend?: BackendName;
  readonly threads?: number;
}

const examples = `
Examples:
  $ lockstep predict runs/digits-cnn > predictions.csv
  $ lockstep predict runs/mnist-cnn --input t10k-images-idx3-ubyte.gz --format ndjson
  $ lockstep predict runs/prices --input houses.csv            (columns by name, in any order)`;

export function predictCommand(context: Context): Command {
  return new Command('predict')
    .summary('predictions of a checkpoint, sample by sample')
    .description(
      'Prints a prediction for each sample: for classes the class and the probability of each, else the values. ' +
        'Numbers have the fewest digits that read back as the same float32.',
    )
    .argument('<checkpoint>', 'checkpoint, or directory of a run', path)
    .addOption(
      new Option(
        '--input <file>',
        'samples without targets: IDX images or CSV (default: the held-out samples of the config)',
      ).argParser(path),
    )
    .addOption(dataOption('where the run read them; --input needs none'))
    .addOption(splitOption())
    .addOption(new Option('--format <format>', 'what is printed').choices(['csv', 'ndjson']).default('csv'))
    .addOption(threadsOption())
    .addOption(backendOption())
    .addHelpText('after', examples)
    .action((target: string, options: PredictOptions) => predict(context, target, options));
}

async function predict(context: Context, target: string, options: PredictOptions): Promise<void> {
  const opened = await openNamed(target, context.stderr);
  const dataset = await openData(opened, options, context.stderr);
  const { loss } = opened.config;
  const targets = opened.checkpoint.fitted.columns?.targets ?? null;
  const write = async (text: string): Promise<void> => {
    if (!context.stdout.write(text)) await once(context.stdout, 'drain');
  };
  let isFirst = true;
  const onBatch = async (batch: PredictedBatch): Promise<void> => {
    const shape: PredictionShape = { loss, outputs: batch.outputSize, targets };
    if (isFirst && options.format === 'csv') await write(`${csvHeader(shape)}\n`);
    isFirst = false;
    const line = options.format === 'csv' ? predictionCsv : predictionJson;
    let text = '';
    for (let row = 0; row < batch.rows; row += 1) {
      const values = batch.outputs.subarray(row * batch.outputSize, (row + 1) * batch.outputSize);
      text += `${line(batch.firstSample + row, values, shape)}\n`;
    }
    await write(text);
  };
  await inferCheckpoint({
    ...opened,
    dataset,
    split: options.input === undefined ? options.split : 'test',
    backend: options.backend,
    threads: options.threads ?? context.cores,
    onBatch,
  });
}
