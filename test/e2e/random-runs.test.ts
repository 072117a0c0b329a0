// The promise on networks that nobody chose: each is trained in this process, by two and by three worker processes, and by
// a run that was stopped and resumed with another number of workers. One hash. LOCKSTEP_SEED says which networks.

import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type ConfigInput, train } from '../../index.ts';
import { Draw } from '../networks/draw.ts';
import { drawNetwork, type Network } from '../networks/draw-network.ts';
import { temporaryDirectory } from './command-line.ts';

const first = Number(process.env.LOCKSTEP_SEED ?? 1);
const count = 4;
const steps = 8;

const directory = temporaryDirectory();
afterAll(() => directory.remove());

/** As a config: synthetic data has no targets of 0 and 1 for sigmoidCrossEntropy. */
function configOf(network: Network, seed: number): ConfigInput {
  const { model, options, batch, samples } = network;
  const isClass = options.loss === 'softmaxCrossEntropy';
  const outputs = model.layers.at(-1)!;
  const units = outputs.type === 'dense' ? outputs.units : 0;
  return {
    name: `random-${seed}`,
    data: {
      kind: 'synthetic',
      train: samples,
      test: 1 + (seed % 7),
      shape: model.input,
      ...(isClass ? { classes: Math.max(2, units) } : { targets: units }),
    },
    model,
    loss: isClass ? 'softmaxCrossEntropy' : 'meanSquaredError',
    optimizer: network.optimizer,
    ...(network.clipNorm === undefined ? {} : { clipNorm: network.clipNorm }),
    batch,
    shards: Math.max(3, network.shards),
    steps,
    seed: network.seed,
    checkpoint: { everySteps: 3 },
    evaluate: { everySteps: 4 },
  };
}

/** The next `count` networks whose outputs a config can name. */
function drawNetworks(): [seed: number, network: Network][] {
  const found: [number, Network][] = [];
  for (let seed = 1000 * first; found.length < count; seed += 1) {
    const network = drawNetwork(seed);
    if (network.model.layers.at(-1)!.type === 'dense') found.push([seed, network]);
  }
  return found;
}

it.each(drawNetworks())('network of seed %i: one hash from every world', async (seed, network) => {
  const config = configOf(network, seed);
  const draw = new Draw(seed, 9);
  const run = async (name: string, settings: Parameters<typeof train>[1]) =>
    train(config, { out: join(directory.path, `${seed}-${name}`), ...settings });
  const alone = await run('alone', { workers: 0, threads: draw.integer(1, 2) });
  expect(alone.steps).toBe(steps);
  const hashes = [
    await run('two', { workers: 2, threads: draw.integer(1, 2) }),
    await run('three', { workers: 3, threads: 1 }),
  ].map(({ weightsSha256 }) => weightsSha256);
  const stopAfterStep = draw.integer(1, steps - 1);
  const part = await run('resumed', { workers: draw.integer(0, 2), stopAfterStep });
  expect(part).toMatchObject({ steps: stopAfterStep, stopped: true });
  hashes.push((await run('resumed', { workers: draw.integer(0, 2), resume: true })).weightsSha256);
  expect(hashes).toEqual(hashes.map(() => alone.weightsSha256));
});
