// What must hold of every network, whatever its shape. Each check returns null, or what is wrong in a line.
// Equality between our own ways of computing is equality of bytes; only the float64 reference and finite differences have
// tolerances.

import { optimizationNames } from '../../src/compile/optimizations.ts';
import { StepSchedule } from '../../src/engine/schedule.ts';
import { buildModel } from '../../src/nn/build.ts';
import { modelSchema } from '../../src/nn/description.ts';
import { initialValues } from '../../src/nn/initialize.ts';
import { optimizerSchema } from '../../src/optim/optimizer.ts';
import { candidates } from '../conformance/backends.ts';
import { ArenaPool } from '../support/arena-pool.ts';
import { World, type WorldOptions } from '../unit/engine/world.ts';
import { drawParameters, drawSplits } from './data.ts';
import { Draw } from './draw.ts';
import type { Network } from './draw-network.ts';
import { gradientError } from './finite-differences.ts';
import { distanceFromReference } from './reference-gradient.ts';

const steps = 3;

/** Parts of the seed's random numbers; the network itself is part 0. */
const parts = { values: 1, worlds: 2, direction: 3 } as const;

const pools = candidates.flatMap(({ backend, name, family }) =>
  backend === null ? [] : [{ name, family, backend: new ArenaPool(backend) }],
);
const [fused] = pools.filter(({ family }) => family === 'fused');

/** The sums and the gradient's norm of each step, the state after the last, and what an evaluation predicts: as hexadecimal. */
function train(
  network: Network,
  seed: number,
  pool: (typeof pools)[number],
  boundaries: readonly number[],
  options: WorldOptions = {},
): string {
  pool.backend.recycle();
  const { loss } = network.options;
  const model = buildModel(modelSchema.parse(network.model), network.options);
  const draw = new Draw(seed, parts.values);
  const splits = drawSplits(draw, model, loss, network.samples);
  const world = new World(network, boundaries, pool.backend, splits, options);
  const values = drawParameters(draw, model);
  for (const { memory } of world.workers) {
    memory.setParameters(values);
    memory.setStatistics(initialValues(model.statistics, network.seed));
  }
  const schedule = new StepSchedule({ ...network, optimizer: optimizerSchema.parse(network.optimizer) });
  const lines: string[] = [];
  for (let step = 1; step <= steps; step += 1) {
    const plan = schedule.at(step);
    const { sums, gradientNorm } = world.step(plan);
    lines.push(`${hex(sums)} ${hex(Float32Array.of(gradientNorm))}`);
  }
  const states = world.states().map((state) => state.toString('hex'));
  if (new Set(states).size !== 1) return 'the replicas of the workers differ';
  return [...lines, states[0]!, world.evaluate(network.samples)].join('\n');
}

const hex = (floats: Float32Array): string =>
  Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength).toString('hex');

const alone = (network: Network): number[] => [0, network.shards];

/** Every optimising pass can be left out, one alone or all together: the bytes stay. */
function passes(network: Network, seed: number): string | null {
  const pool = fused!;
  const draw = new Draw(seed, parts.worlds);
  const boundaries = drawBoundaries(draw, draw.integer(1, 2), network.shards);
  const expected = train(network, seed, pool, boundaries);
  for (const left of [optimizationNames, [draw.pick(optimizationNames)]]) {
    const optimizations = Object.fromEntries(left.map((name) => [name, false]));
    if (train(network, seed, pool, boundaries, { optimizations }) !== expected) {
      return `without ${left.join(', ')} the bytes are others (first shards ${boundaries})`;
    }
  }
  return null;
}

/** Back ends and instruction sets that share a fingerprint give the same bytes. */
function backends(network: Network, seed: number): string | null {
  const [first, ...others] = pools.filter(({ family }) => family === 'fused');
  const expected = train(network, seed, first!, alone(network));
  for (const other of others) {
    if (train(network, seed, other, alone(network)) !== expected)
      return `${other.name} gives other bytes than ${first!.name}`;
  }
  return null;
}

/** Any number of workers and lanes, in any order of the lanes, gives the bytes of one. */
function worlds(network: Network, seed: number): string | null {
  const pool = fused!;
  const expected = train(network, seed, pool, alone(network));
  const draw = new Draw(seed, parts.worlds);
  const order = (lanes: readonly number[]) => draw.shuffled(lanes);
  for (const workers of [1, 2, 3]) {
    const boundaries = drawBoundaries(draw, workers, network.shards);
    const lanes = Array.from({ length: workers }, () => draw.integer(1, 3));
    if (train(network, seed, pool, boundaries, { lanes, order }) !== expected) {
      return `${workers} workers (shards ${boundaries}, lanes ${lanes}) give other bytes than one worker with one lane`;
    }
  }
  return null;
}

/** Ascending first shards of each worker; some may have none. */
function drawBoundaries(draw: Draw, workers: number, shards: number): number[] {
  const inner = Array.from({ length: workers - 1 }, () => draw.integer(0, shards));
  return [0, ...inner.sort((a, b) => a - b), shards];
}

/** The gradient of the float64 program is that of its loss. */
function gradients(network: Network, seed: number): string | null {
  return gradientError(network, new Draw(seed, parts.direction));
}

/** The kernels' gradient is that of the float64 program, as near as float32 comes. */
function reference(network: Network, seed: number): string | null {
  return distanceFromReference(network, new Draw(seed, parts.direction), fused!.backend);
}

export type Check = (network: Network, seed: number) => string | null;

export const checks: Readonly<Record<string, Check>> = { gradients, reference, passes, worlds, backends };
