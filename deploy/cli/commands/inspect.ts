// `lockstep inspect`: what is in a checkpoint (tensors, shapes, hashes, step, metrics), or what a config makes.

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { Command } from 'commander';
import type { NamedTensor } from '../../../src/checkpoint/state.ts';
import { weightsSha256 } from '../../../src/checkpoint/weights-hash.ts';
import type { RunConfig } from '../../../src/config/schema.ts';
import type { Fitted } from '../../../src/data/fitted.ts';
import { buildModel } from '../../../src/nn/build.ts';
import { printable } from '../../../src/platform/printable.ts';
import type { Context } from '../context.ts';
import { loadRunConfig } from '../load-run.ts';
import { openNamed } from '../open-checkpoint.ts';
import { jsonOption, path } from '../options.ts';
import { formatCount, formatMetrics } from '../progress/format.ts';

interface TensorRow {
  readonly name: string;
  readonly role: string;
  readonly shape: readonly number[];
  readonly size: number;
  /** Of its float32 little-endian bytes; null where there are no values yet. */
  readonly sha256: string | null;
}

interface Inspection {
  /** Facts in order, by the key of --json. */
  readonly facts: Readonly<Record<string, unknown>> & { readonly fitted?: Fitted };
  readonly tensors: readonly TensorRow[];
}

const examples = `
Examples:
  $ lockstep inspect runs/digits-cnn              (the newest good checkpoint of a run)
  $ lockstep inspect examples/digits-cnn.json     (tensors and sizes before any training)
  $ lockstep inspect runs/digits-cnn --json`;

export function inspectCommand(context: Context): Command {
  return new Command('inspect')
    .summary('show what a checkpoint or a config holds')
    .description(
      'Prints step, config, metrics, tensors, shapes and hashes of a checkpoint; or the tensors that a config makes.',
    )
    .argument('<target>', 'checkpoint, directory of a run, or config file', path)
    .addOption(jsonOption('one JSON object'))
    .addHelpText('after', examples)
    .action(async (target: string, options: { json?: boolean }) => {
      const inspection = isConfig(target)
        ? await inspectConfig(target)
        : await inspectCheckpoint(context, target);
      const text = options.json
        ? JSON.stringify({ ...inspection.facts, tensors: inspection.tensors })
        : table(inspection);
      context.stdout.write(`${text.split('\n').map(printable).join('\n')}\n`);
    });
}

function isConfig(target: string): boolean {
  const isFile = !existsSync(target) || statSync(target).isFile();
  return isFile && ['.json', '.mjs', '.js', '.ts', '.mts'].includes(extname(target));
}

async function inspectConfig(path: string): Promise<Inspection> {
  const config = await loadRunConfig(path, {});
  const model = buildModel(config.model, config);
  const rows = (role: string, declared: typeof model.parameters): TensorRow[] =>
    declared.map(({ name, shape }) => ({ name, role, shape, size: sizeOf(shape), sha256: null }));
  const tensors = [...rows('parameter', model.parameters), ...rows('statistic', model.statistics)];
  return { facts: { config: path, ...factsOf(config), ...countsOf(tensors) }, tensors };
}

async function inspectCheckpoint(context: Context, target: string): Promise<Inspection> {
  const { checkpoint, path, config } = await openNamed(target, context.stderr, 'a config');
  const rows = (role: string, tensors: readonly NamedTensor[]): TensorRow[] =>
    tensors.map(({ name, shape, data }) => ({ name, role, shape, size: data.length, sha256: hashOf(data) }));
  const tensors = [
    ...rows('parameter', checkpoint.parameters),
    ...rows('statistic', checkpoint.statistics),
    ...checkpoint.slots.flatMap((slot, index) => rows(`slot ${index}`, slot)),
  ];
  const facts = {
    checkpoint: path,
    step: checkpoint.step,
    metrics: checkpoint.metrics,
    weightsSha256: await weightsSha256(checkpoint.parameters, checkpoint.statistics),
    fingerprint: checkpoint.fingerprint,
    datasetSha256: checkpoint.datasetSha256,
    trainSha256: checkpoint.trainSha256,
    fitted: checkpoint.fitted,
    previousSha256: checkpoint.previousSha256,
    ...factsOf(config),
    ...countsOf(tensors),
  };
  return { facts, tensors };
}

function factsOf(config: RunConfig): Record<string, unknown> {
  const { name, loss, batch, shards, seed, epochs, steps } = config;
  const length = epochs === undefined ? { steps } : { epochs };
  return {
    name,
    data: config.data.kind,
    loss,
    optimizer: config.optimizer.type,
    batch,
    shards,
    seed,
    ...length,
  };
}

function countsOf(tensors: readonly TensorRow[]): Record<string, unknown> {
  const sum = (role: string): number =>
    tensors.filter((row) => row.role === role).reduce((total, { size }) => total + size, 0);
  return { parameters: sum('parameter'), statistics: sum('statistic') };
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, side) => size * side, 1);

function hashOf(data: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}

/** Means and deviations are many; --json has them. */
function fittedText({ columns, inputs }: Fitted): Record<string, string> {
  const scale = inputs.map(({ method }) => method).join(', ') || 'none';
  return columns === null
    ? { scale }
    : { features: columns.features.join(', '), targets: columns.targets.join(', '), scale };
}

function table({ facts: { fitted, ...others }, tensors }: Inspection): string {
  const facts = fitted === undefined ? others : { ...others, ...fittedText(fitted) };
  const show = (value: unknown): string => {
    if (typeof value === 'number') return formatCount(value);
    return value !== null && typeof value === 'object'
      ? formatMetrics(value as Record<string, number>)
      : String(value);
  };
  const width = Math.max(...tensors.map(({ name }) => name.length), 4);
  return [
    ...Object.entries(facts)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => `${key.padEnd(16)} ${key === 'seed' ? value : show(value)}`),
    '',
    ...tensors.map(({ name, role, shape, size, sha256 }) =>
      `${name.padEnd(width)}  ${role.padEnd(9)}  ${`[${shape.join(', ')}]`.padEnd(18)} ${formatCount(size).padStart(11)}  ${sha256?.slice(0, 16) ?? ''}`.trimEnd(),
    ),
  ].join('\n');
}
