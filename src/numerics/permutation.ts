// The order in which an epoch visits its samples, and which part of it a step takes. A function of
// (seed, epoch, samples, batch) alone, so that every process works it out for itself.

import { assert } from '../errors.ts';
import { philox, randomPurposes } from './philox.ts';

/** The sample ids 0 .. samples-1 in the order of `epoch` (from 0): Fisher and Yates, drawn from Philox. */
export function epochOrder(seed: number, epoch: number, samples: number): Uint32Array {
  const order = Uint32Array.from({ length: samples }, (_, i) => i);
  const words = new Uint32Array(4);
  for (let last = samples - 1; last > 0; last -= 1) {
    const draw = samples - 1 - last;
    if (draw % 2 === 0) philox(seed, randomPurposes.shuffle, epoch, 0, 0, draw >>> 1, words);
    const pair = (draw % 2) * 2;
    const chosen = below(last + 1, words[pair]!, words[pair + 1]!);
    const swapped = order[chosen]!;
    order[chosen] = order[last]!;
    order[last] = swapped;
  }
  return order;
}

/** A whole number in 0 .. bound-1 from 52 random bits; the product cannot round up to `bound`. */
function below(bound: number, high: number, low: number): number {
  return Math.floor(((high >>> 6) * 2 ** 26 + (low >>> 6)) * 2 ** -52 * bound);
}

/** Steps in an epoch; the last one takes what is left. */
export function stepsPerEpoch(samples: number, batch: number): number {
  assert(samples > 0 && batch > 0, `an epoch needs samples and a batch, got ${samples} and ${batch}`);
  return Math.ceil(samples / batch);
}

/** Where the batch of step `step0` (from 0) lies: positions from .. to-1 of the order of `epoch`. */
export function batchRange(
  step0: number,
  samples: number,
  batch: number,
): { readonly epoch: number; readonly from: number; readonly to: number } {
  const steps = stepsPerEpoch(samples, batch);
  const epoch = Math.floor(step0 / steps);
  const from = (step0 - epoch * steps) * batch;
  return { epoch, from, to: Math.min(from + batch, samples) };
}
