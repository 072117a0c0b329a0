// Long sums stay within a few roundings of float32 of the exact value, however long they are and however far from 0 their
// terms lie: random lengths, offsets and scales against sums in float64. Tolerances are in units of the natural scale.

import { describe, expect, it } from 'vitest';
import {
  type BatteryCase,
  type Block,
  batteryCase,
  input,
  output,
  stepLayout,
} from '../../src/kernels/battery-case.ts';
import { caseRunner } from '../../src/kernels/battery-run.ts';
import { normBlockSize } from '../../src/kernels/kernel-list.ts';
import { philox, randomPurposes } from '../../src/numerics/philox.ts';
import { randomSeed } from '../support/seed.ts';
import { candidates } from './backends.ts';

/** Relative to the natural scale of each number: about 3 units of 2^-23. */
const tolerance = 4e-7;
const rounds = 12;
const lengthMax = 300_000;
const channels = 3;

/** Uniform numbers in [0, 1) of round `round`. */
function uniforms(round: number): () => number {
  const words = new Uint32Array(4);
  let count = 0;
  return () => {
    if (count % 4 === 0) philox(randomSeed, randomPurposes.data, round, 0, 0, count / 4, words);
    return words[count++ % 4]! * 2 ** -32;
  };
}

const held = (values: Float32Array): Block => input(values.length, (_, i) => values[i]!);
const sum = (values: ArrayLike<number>, term: (value: number, i: number) => number = (x) => x): number =>
  Array.prototype.reduce.call(
    values,
    (total, value, i) => (total as number) + term(value as number, i),
    0,
  ) as number;

/** Length, and values around an offset of up to 10,000 deviations. */
function draw(round: number) {
  const uniform = uniforms(round);
  const length = Math.ceil(lengthMax ** uniform());
  const deviation = 10 ** (6 * uniform() - 3);
  const offset = uniform() < 0.3 ? 0 : (uniform() < 0.5 ? -1 : 1) * 10 ** (4 * uniform()) * deviation;
  const size = length * channels;
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const x = Float32Array.from({ length: size }, () => offset + deviation * normal());
  const dy = Float32Array.from({ length: size }, () => normal());
  const column = (values: Float32Array, channel: number): number[] =>
    Array.from({ length }, (_, i) => values[i * channels + channel]!);
  return {
    length,
    x,
    dy,
    column,
    title: `${length} around ${offset.toPrecision(3)}, deviation ${deviation.toPrecision(3)}`,
  };
}

const oneSample = { name: 'one', layout: stepLayout(1, 1) };

/** The largest of |actual - exact| / scale over the channels, in units of the tolerance. */
const worst = (errors: readonly (readonly [actual: number, exact: number, scale: number])[]): number =>
  Math.max(
    ...errors.map(([actual, exact, scale]) =>
      actual === exact ? 0 : Math.abs(actual - exact) / (scale * tolerance),
    ),
  );

type Drawn = ReturnType<typeof draw>;
type Run = (test: BatteryCase) => Float32Array;
const each = <T>(value: (channel: number) => T): T[] =>
  Array.from({ length: channels }, (_, channel) => value(channel));

/** Kernel and the worst error of one round. */
const checks: Readonly<Record<string, (drawn: Drawn, run: Run) => number>> = {
  'momentsLeaves: mean and variance': ({ length, x, column }, run) => {
    const args = { leaves: output(1 + 2 * channels), x: held(x), positions: length, channels };
    const record = run(batteryCase('momentsLeaves', '', oneSample, args));
    return worst(
      each((channel) => {
        const values = column(x, channel);
        const mean = sum(values) / length;
        const m2 = sum(values, (value) => (value - mean) ** 2);
        return [
          [record[1 + channel]!, mean, Math.abs(mean) + Math.sqrt(m2 / length)],
          [record[1 + channels + channel]!, m2, m2],
        ] as const;
      }).flat(),
    );
  },

  'normalizeSums: both sums': ({ length, x, dy, column }, run) => {
    const mean = Float32Array.from(each((channel) => sum(column(x, channel)) / length));
    const args = {
      leaves: output(2 * channels), dy: held(dy), x: held(x), mask: null, mean: held(mean), inverse: input(channels, () => 1),
      positions: length, channels, perShard: 0,
    }; // biome-ignore format: a table
    const leaves = run(batteryCase('normalizeSums', '', oneSample, args));
    return worst(
      each((channel) => {
        const [gradients, values] = [column(dy, channel), column(x, channel)];
        const product = (value: number, i: number): number => gradients[i]! * (value - mean[channel]!);
        return [
          [leaves[channel]!, sum(gradients), sum(gradients, Math.abs)],
          [
            leaves[channels + channel]!,
            sum(values, product),
            sum(values, (value, i) => Math.abs(product(value, i))),
          ],
        ] as const;
      }).flat(),
    );
  },

  columnSums: ({ length, x, column }, run) => {
    const args = {
      out: output(channels),
      stride: channels,
      x: held(x),
      positions: length,
      columns: channels,
    };
    const sums = run(batteryCase('columnSums', '', oneSample, args));
    return worst(
      each((channel) => [sums[channel]!, sum(column(x, channel)), sum(column(x, channel), Math.abs)]),
    );
  },

  'averagePoolForward, global': ({ length, x, column }, run) => {
    const window = {
      height: length, width: 1, channels, kernelHeight: length, kernelWidth: 1, strideHeight: 1, strideWidth: 1,
      padTop: 0, padLeft: 0, outHeight: 1, outWidth: 1,
    }; // biome-ignore format: a table
    const y = run(
      batteryCase('averagePoolForward', '', oneSample, { y: output(channels), x: held(x), ...window }),
    );
    return worst(
      each((channel) => {
        const values = column(x, channel);
        return [y[channel]!, sum(values) / length, sum(values, Math.abs) / length];
      }),
    );
  },

  shardSums: ({ length, x }, run) => {
    const losses = x.subarray(0, length);
    const layout = { name: 'a shard', layout: stepLayout(length, 1) };
    const results = run(batteryCase('shardSums', '', layout, { x: held(losses), metric: 0, metrics: 2 }));
    return worst([[results[8]!, sum(losses), sum(losses, Math.abs)]]);
  },
};

const wide = { blocksSizeMax: 1 << 22 };
const present = candidates.flatMap(({ name, backend }) => (backend === null ? [] : [{ name, backend }]));

describe.each(present)(`$name, seed ${randomSeed}`, ({ backend }) => {
  const runCase = caseRunner(backend, 1, wide);
  const run: Run = (test) => runCase(test).floats as Float32Array;

  it.each(Object.entries(checks))('%s', (_, check) => {
    const wrong: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const drawn = draw(round);
      const units = check(drawn, run);
      if (!(units <= 1))
        wrong.push(`round ${round}, ${drawn.title}: ${units.toFixed(2)} times the tolerance`);
    }
    expect(wrong).toEqual([]);
  });

  it.each([1e-44, 1e-30, 1e-20, 1, 1e18, 1e25, 1e37])(
    'the norm of a mean gradient of order %d is exact',
    (order) => {
      const uniform = uniforms(order > 1 ? 1 : 2);
      const samples = 1 + Math.floor(7 * uniform());
      // Elements and their sum over the batch are representable; so is the norm.
      const count = 1 + Math.floor(9000 * uniform());
      const scale = Math.min(order, 3e38 / samples / Math.sqrt(count));
      const x = Float32Array.from({ length: count }, () => (2 * uniform() - 1) * scale * samples);
      const exact = Math.sqrt(sum(x, (value) => value * value)) * Math.fround(1 / samples);
      const layout = { name: `${samples} samples`, layout: stepLayout(samples, 1) };
      const blocks = Math.ceil(count / normBlockSize);
      const norms = run(batteryCase('blockNorms', '', layout, { blocks: output(blocks), x: held(x), count }));
      const args = {
        clip: output(2),
        blocks: held(norms.slice(0, blocks)),
        count: blocks,
        maximum: exact / 2,
      };
      const [norm, factor] = run(batteryCase('clipFactor', '', layout, args));
      // Where the norm is subnormal, float32 itself is no closer than 2^-149.
      const spacing = Math.max(exact * tolerance, (blocks + 1) * 2 ** -149);
      expect(Math.abs(norm! - exact)).toBeLessThanOrEqual(spacing);
      expect(norm).toBeGreaterThan(0);
      expect(Math.abs(factor! - 0.5)).toBeLessThanOrEqual(exact > 1e-37 ? 1e-6 : 0.5);
    },
  );
});
