// A back end's gradient against that of the float64 reference, tensor by tensor. How far float32 may be is measured, not
// guessed: the float32 reference computes the same network, and networks that amplify rounding move it too.

import type { Backend } from '../../src/kernels/backend.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { ArenaPool } from '../support/arena-pool.ts';
import { Solo } from '../support/solo.ts';
import { drawParameters, drawSplits } from './data.ts';
import type { Draw } from './draw.ts';
import type { Network } from './draw-network.ts';

const exact = new ArenaPool(referenceBackend(64));
const rounded = new ArenaPool(referenceBackend(32));

/** Of the norm of a tensor's gradient: what float32 may always be off, and how much farther than the float32 reference. */
const toleranceAlways = 1e-4;
const toleranceFactor = 30;

/** Null, or the first tensor whose gradient is farther from the float64 reference than rounding explains. */
export function distanceFromReference(network: Network, draw: Draw, backend: Backend): string | null {
  const { options, batch, shards, model } = network;
  exact.recycle();
  rounded.recycle();
  if (backend instanceof ArenaPool) backend.recycle();
  const [expected, near, found] = [exact, rounded, backend].map(
    (each) =>
      new Solo({
        backend: each,
        model,
        ...options,
        batch,
        shards,
        optimizer: { type: 'sgd', learningRate: 0 },
      }),
  ) as [Solo, Solo, Solo];
  const { train } = drawSplits(draw, expected.model, options.loss, batch);
  const values = drawParameters(draw, expected.model);
  for (const solo of [expected, near, found]) {
    solo.load([...train.inputs], [...train.targets]);
    solo.model.parameters.forEach(({ name }, i) => {
      solo.tensor(name).set(values[i]!);
    });
    solo.step(1);
  }
  const names = expected.model.parameters.map(({ name }) => name);
  // Some gradients are sums that cancel, such as that of a bias in front of a batch norm: what is left of them is rounding.
  const whole = Math.sqrt(names.reduce((sum, name) => sum + sumOfSquares(expected.gradient(name)), 0));
  for (const name of names) {
    const truth = expected.gradient(name);
    const size = Math.sqrt(sumOfSquares(truth)) + 0.01 * whole + 1e-3;
    const allowed = toleranceAlways + (toleranceFactor * distance(near.gradient(name), truth)) / size;
    const off = distance(found.gradient(name), truth) / size;
    if (!(off <= allowed)) {
      return `the gradient of ${name} is off by ${off.toExponential(2)} of its norm, where ${allowed.toExponential(2)} is rounding`;
    }
  }
  return null;
}

const sumOfSquares = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value * value, 0);

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.sqrt(sumOfSquares(Array.from(a, (value, i) => value - b[i]!)));
}
