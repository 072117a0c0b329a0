// Normal random inputs and random targets, for benchmarks and tests: nothing to learn, any size. Pure.

import type { DataConfigOf } from '../config/schema-data.ts';
import { cos, log, sin } from '../numerics/math.ts';
import { RandomStream } from './random-stream.ts';
import type { RawDataset, RawSplit } from './raw.ts';

/** The data set of a `synthetic` config; a function of the config alone. */
export function syntheticDataset(data: DataConfigOf<'synthetic'>): RawDataset {
  const targetSize = data.targets ?? 1;
  const inputSize = data.shape.reduce((product, dimension) => product * dimension, 1);
  const split = (samples: number, part: number): RawSplit => {
    const random = new RandomStream(data.seed, part);
    const inputs = normals(random, samples * inputSize);
    random.seek(1);
    const { classes } = data;
    const targets =
      classes === undefined
        ? normals(random, samples * targetSize)
        : Float32Array.from({ length: samples }, () => random.below(classes));
    return { source: 'the synthetic data', samples, inputs, targets };
  };
  return {
    inputShape: data.shape,
    targetSize,
    classes: data.classes ?? 0,
    columns: null,
    train: split(data.train, 0),
    test: split(data.test, 1),
    unit: 1,
    notices: [],
  };
}

/** Box and Muller (1958): two uniform numbers make two normal ones. */
function normals(random: RandomStream, count: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * log(1 - random.between(0, 1)));
    const angle = random.between(0, 2 * Math.PI);
    values[i] = radius * cos(angle);
    if (i + 1 < count) values[i + 1] = radius * sin(angle);
  }
  return values;
}
