// Samples and weights for a random network.

import type { Splits } from '../../src/engine/lane.ts';
import type { LossKind } from '../../src/ir/ops.ts';
import type { Model } from '../../src/nn/model.ts';
import type { Draw } from './draw.ts';

/** Inputs in -2 .. 2, targets as the loss takes them. */
export function drawSplits(draw: Draw, model: Model, loss: LossKind, samples: number): Splits {
  const inputSize = model.inputShape.reduce((product, dimension) => product * dimension, 1);
  const split = () => ({
    inputs: shared(samples * inputSize, () => draw.between(-2, 2)),
    targets: shared(samples * model.targetSize, () => drawTarget(draw, loss, model.outputSize)),
  });
  return { train: split(), test: split() };
}

function drawTarget(draw: Draw, loss: LossKind, outputs: number): number {
  switch (loss) {
    case 'softmaxCrossEntropy':
      return draw.integer(0, outputs - 1);
    case 'sigmoidCrossEntropy':
      return draw.integer(0, 1);
    case 'meanSquaredError':
      return draw.between(-1, 1);
    default:
      return loss satisfies never;
  }
}

/** Values of every trained tensor, none of them 0: biases too, so that few activations lie exactly at a kink. */
export function drawParameters(draw: Draw, model: Model): Float32Array[] {
  return model.parameters.map(({ shape, role }) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const fanIn = role === 'weight' ? Math.max(1, size / shape.at(-1)!) : 4;
    const width = role === 'gamma' ? 0.5 : 1.5 / Math.sqrt(fanIn);
    const center = role === 'gamma' ? 1.2 : 0;
    return Float32Array.from({ length: size }, () => center + draw.between(-width, width));
  });
}

function shared(length: number, next: () => number): Float32Array<SharedArrayBuffer> {
  const floats = new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
  for (let i = 0; i < length; i += 1) floats[i] = next();
  return floats;
}
