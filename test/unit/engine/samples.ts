// Small data sets for the engine's tests, made from a fixed formula.

import type { Splits } from '../../../src/engine/lane.ts';
import { philox, randomPurposes } from '../../../src/numerics/philox.ts';

/** `samples` rows of `inputSize` numbers in -1 .. 1, and a class that a linear function of them decides. */
export function classSamples(samples: number, inputSize: number, classes: number): Splits {
  const split = (stream: number, count: number) => {
    const inputs = shared(count * inputSize);
    const targets = shared(count);
    const words = new Uint32Array(4);
    for (let i = 0; i < inputs.length; i += 1) {
      if (i % 4 === 0) philox(stream, randomPurposes.data, 0, 0, 0, i / 4, words);
      inputs[i] = (words[i % 4]! >>> 8) * 2 ** -23 - 1;
    }
    for (let row = 0; row < count; row += 1) {
      const values = inputs.subarray(row * inputSize, (row + 1) * inputSize);
      const score = values.reduce((sum, value, i) => sum + value * ((i % 3) - 1), 0);
      targets[row] = Math.min(classes - 1, Math.max(0, Math.floor(score + classes / 2)));
    }
    return { inputs, targets };
  };
  return { train: split(1, samples), test: split(2, samples) };
}

function shared(length: number): Float32Array<SharedArrayBuffer> {
  return new Float32Array(new SharedArrayBuffer(length * 4));
}
