// First values of tensors: a function of (seed, place of the tensor, element) alone, so that every worker makes the same.

import type { Initializer, TensorDeclaration } from '../ir/graph.ts';
import { sizeOf } from '../ir/shapes.ts';
import { cos, log, sin } from '../numerics/math.ts';
import { philox, randomPurposes } from '../numerics/philox.ts';

/** Four words of the stream at a time: element e takes word e mod 4 of counter (0, tensor, 0, floor(e / 4)). */
type Draw = (words: Uint32Array, out: Float32Array, at: number) => void;

/**
 * Unpadded values of each tensor, in order. Random ones are drawn in float64 and rounded to float32 once; the stream is
 * that of Philox4x32-10 with key (seed, purpose initialize). Constants draw nothing.
 */
export function initialValues(
  declarations: readonly Pick<TensorDeclaration, 'shape' | 'initializer'>[],
  seed: number,
): Float32Array[] {
  return declarations.map(({ shape, initializer }, tensor) => {
    const values = new Float32Array(sizeOf(shape));
    if (initializer.kind === 'ones') values.fill(1);
    const draw = drawOf(initializer);
    if (draw) fill(values, draw, seed, tensor);
    return values;
  });
}

function fill(values: Float32Array, draw: Draw, seed: number, tensor: number): void {
  const words = new Uint32Array(4);
  const whole = values.length - (values.length % 4);
  for (let at = 0; at < whole; at += 4) {
    philox(seed, randomPurposes.initialize, 0, tensor, 0, at / 4, words);
    draw(words, values, at);
  }
  if (whole === values.length) return;
  const rest = new Float32Array(4);
  philox(seed, randomPurposes.initialize, 0, tensor, 0, whole / 4, words);
  draw(words, rest, 0);
  values.set(rest.subarray(0, values.length - whole), whole);
}

function drawOf(initializer: Initializer): Draw | null {
  switch (initializer.kind) {
    case 'zeros':
    case 'ones':
      return null;
    case 'uniform':
      return uniform(initializer.low, initializer.high);
    case 'gaussian':
      return gaussian(initializer.mean, initializer.deviation);
    default:
      return initializer satisfies never;
  }
}

function uniform(low: number, high: number): Draw {
  const width = (high - low) * 2 ** -24;
  return (words, out, at) => {
    for (let i = 0; i < 4; i += 1) out[at + i] = low + (words[i]! >>> 8) * width;
  };
}

const word = 2 ** -32;
const turn = 2 * Math.PI * word;

/** Box and Muller 1958: two words give two values. The first word counts from 1, so that its logarithm is finite. */
function gaussian(mean: number, deviation: number): Draw {
  return (words, out, at) => {
    for (let i = 0; i < 4; i += 2) {
      const radius = deviation * Math.sqrt(-2 * log((words[i]! + 1) * word));
      const angle = turn * words[i + 1]!;
      out[at + i] = mean + radius * cos(angle);
      out[at + i + 1] = mean + radius * sin(angle);
    }
  };
}
