// The gradient of a network's float64 program against central differences of its loss, along random directions.

import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { ArenaPool } from '../support/arena-pool.ts';
import { Solo } from '../support/solo.ts';
import { drawParameters, drawSplits } from './data.ts';
import type { Draw } from './draw.ts';
import type { Network } from './draw-network.ts';

const backend = new ArenaPool(referenceBackend(64));

/** Where the loss bends sharply between two points, one of these steps is still short enough; a wrong gradient fits none. */
const differences = [2 ** -12, 2 ** -16, 2 ** -20, 2 ** -24];
const tolerance = 2e-5;

/** Null, or the tensor whose gradient is wrong, with both numbers. */
export function gradientError(network: Network, draw: Draw): string | null {
  backend.recycle();
  const { options, batch, shards, model } = network;
  const solo = new Solo({
    backend, model, ...options, batch, shards, optimizer: { type: 'sgd', learningRate: 0 },
  }); // biome-ignore format: a table
  const { train } = drawSplits(draw, solo.model, options.loss, batch);
  solo.load([...train.inputs], [...train.targets]);
  const tensors = solo.model.parameters.map(({ name }) => solo.tensor(name));
  drawParameters(draw, solo.model).forEach((values, i) => {
    tensors[i]!.set(values);
  });
  const loss = (): number => solo.step(1).loss!;
  if (!Number.isFinite(loss())) return null;
  const points = tensors.map((tensor) => tensor.slice());
  const slopes = solo.model.parameters.map(({ name }) => solo.gradient(name).slice());
  const directions = points.map((point) => point.map(() => draw.between(-1, 1)));

  const along = (chosen: readonly number[]): string | null => {
    let analytic = 0;
    let squares = 0;
    for (const i of chosen) {
      slopes[i]!.forEach((slope, element) => {
        const term = slope * directions[i]![element]!;
        analytic += term;
        squares += term * term;
      });
    }
    const move = (distance: number): number => {
      for (const i of chosen)
        tensors[i]!.set(points[i]!.map((value, e) => value + distance * directions[i]![e]!));
      const moved = loss();
      for (const i of chosen) tensors[i]!.set(points[i]!);
      return moved;
    };
    const scale = Math.max(Math.sqrt(squares), 1e-3 * Math.max(1, Math.abs(loss())));
    let nearest = Number.NaN;
    for (const difference of differences) {
      const numeric = (move(difference) - move(-difference)) / (2 * difference);
      if (Math.abs(numeric - analytic) <= tolerance * scale) return null;
      nearest = numeric;
    }
    return `analytic ${analytic}, numeric ${nearest}`;
  };

  const all = along(points.map((_, i) => i));
  if (all === null) return null;
  for (const [i, { name }] of solo.model.parameters.entries()) {
    const found = along([i]);
    if (found !== null) return `the gradient of ${name} is wrong: ${found}`;
  }
  return `the gradient is wrong: ${all}`;
}
