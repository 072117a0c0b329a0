// Scaling of inputs: x -> (x - shift) / divisor, each channel (or feature) with its own two numbers. Pure.

import type { Scale } from '../config/schema-data.ts';
import type { Shape } from '../ir/graph.ts';

/** One shift and one divisor a channel, the last dimension of the inputs. */
export interface Scaling {
  readonly shifts: readonly number[];
  readonly divisors: readonly number[];
}

/** The scaling that `scale` means for these training inputs, [samples, ...inputShape]. A constant channel becomes 0. */
export function scalingOf(scale: Scale, unit: number, inputs: ArrayLike<number>, inputShape: Shape): Scaling {
  const channels = inputShape.at(-1) ?? 1;
  const all = (value: number): number[] => new Array<number>(channels).fill(value);
  switch (scale) {
    case 'none':
      return { shifts: all(0), divisors: all(1) };
    case 'unit':
      return { shifts: all(0), divisors: all(unit) };
    case 'standard':
      return standardScaling(inputs, channels);
    default:
      return scale satisfies never;
  }
}

/** Mean, then deviation around it, both in float64 and in the order of the samples: the same bits everywhere. */
function standardScaling(inputs: ArrayLike<number>, channels: number): Scaling {
  const count = inputs.length / channels;
  const means = meansOf(inputs, channels, count, (x) => x);
  const variances = meansOf(inputs, channels, count, (x, channel) => {
    const deviation = x - means[channel]!;
    return deviation * deviation;
  });
  return { shifts: means, divisors: variances.map((variance) => Math.sqrt(variance) || 1) };
}

function meansOf(
  inputs: ArrayLike<number>,
  channels: number,
  count: number,
  term: (x: number, channel: number) => number,
): number[] {
  const sums = new Float64Array(channels);
  for (let i = 0, channel = 0; i < inputs.length; i += 1) {
    sums[channel]! += term(inputs[i]!, channel);
    channel = channel + 1 === channels ? 0 : channel + 1;
  }
  return Array.from(sums, (sum) => (count > 0 ? sum / count : 0));
}

/** out[i] = (inputs[i] - shift) / divisor of its channel, rounded once to float32. */
export function applyScaling(scaling: Scaling, inputs: ArrayLike<number>, out: Float32Array): void {
  const { shifts, divisors } = scaling;
  const channels = shifts.length;
  for (let i = 0, channel = 0; i < inputs.length; i += 1) {
    out[i] = (inputs[i]! - shifts[channel]!) / divisors[channel]!;
    channel = channel + 1 === channels ? 0 : channel + 1;
  }
}
