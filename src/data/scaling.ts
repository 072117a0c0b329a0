// The methods that scale inputs, one row each: the schema of the numbers it learns, how it learns them from the training
// samples, how it applies them. A scaling is a list of steps, applied in order; a further method is a further row. Pure.
// Everything is float64; the last result is rounded once to float32.

import { z } from 'zod';
import type { Scale } from '../config/schema-data.ts';
import type { RawValues } from './raw.ts';

const unitSchema = z.strictObject({ method: z.literal('unit'), divisor: z.number().positive() });

const standardSchema = z.strictObject({
  method: z.literal('standard'),
  means: z.array(z.number()),
  deviations: z.array(z.number().positive()),
});

export const scalingStepSchema = z.discriminatedUnion('method', [unitSchema, standardSchema]);

/** A method with the numbers that it has learnt. */
export type ScalingStep = z.output<typeof scalingStepSchema>;
type MethodName = ScalingStep['method'];
type StepOf<M extends MethodName> = Extract<ScalingStep, { method: M }>;

/** Some samples: [rows, channels] in float64. The memory is used again for the next block. */
type Visit = (block: Float64Array, offset: number) => void;

/** What a method learns from. */
interface Training {
  /** The last dimension of the inputs: features, or channels of an image. */
  readonly channels: number;
  /** 255 where the values are bytes, else 1. */
  readonly unit: number;
  /** Goes over all training values, in order, after the steps before this one. May be called again. */
  readonly eachBlock: (visit: Visit) => void;
}

interface Method<S> {
  readonly fit: (training: Training) => S;
  /** Changes the values of the block in place. */
  readonly apply: (step: S, block: Float64Array) => void;
  /** How many channels the step has numbers for; null where it suits any number. */
  readonly channels: (step: S) => number | null;
}

const methods: { readonly [M in MethodName]: Method<StepOf<M>> } = {
  unit: {
    fit: ({ unit }) => ({ method: 'unit', divisor: unit }),
    apply: ({ divisor }, block) => {
      for (let i = 0; i < block.length; i += 1) block[i]! /= divisor;
    },
    channels: () => null,
  },
  standard: {
    fit: fitStandard,
    apply: ({ means, deviations }, block) => {
      for (let i = 0, channel = 0; i < block.length; i += 1) {
        block[i] = (block[i]! - means[channel]!) / deviations[channel]!;
        channel = channel + 1 === means.length ? 0 : channel + 1;
      }
    },
    channels: ({ means, deviations }) => (means.length === deviations.length ? means.length : -1),
  },
};

/** The steps that a `scale` of the config stands for. */
const stepsOfScale: Readonly<Record<Scale, readonly MethodName[]>> = {
  none: [],
  unit: ['unit'],
  standard: ['standard'],
};

/**
 * Two passes in the order of the samples: the mean, then the deviation around it. The mean is summed as the distance from
 * the first sample, so that a constant channel has a deviation of exactly 0 and large values with a small spread, such as
 * timestamps, keep their digits. A channel whose deviation is 0 is divided by 1 and so becomes 0; so does one whose values
 * differ by less than 1e-162, where squares are 0 and float32 has no numbers.
 */
function fitStandard({ channels, eachBlock }: Training): StepOf<'standard'> {
  const origins = new Float64Array(channels);
  let values = 0;
  const sums = sumsOf(channels, eachBlock, (block) => {
    if (values === 0) origins.set(block.subarray(0, channels));
    values += block.length;
    return (x, channel) => x - origins[channel]!;
  });
  const count = Math.max(1, values / channels);
  // Adding 0 turns -0, which JSON does not keep, into 0.
  const means = Array.from(sums, (sum, channel) => origins[channel]! + sum / count + 0);
  const squares = sumsOf(channels, eachBlock, () => (x, channel) => {
    const distance = x - means[channel]!;
    return distance * distance;
  });
  const deviations = Array.from(squares, (sum) => Math.sqrt(sum / count) || 1);
  return { method: 'standard', means, deviations };
}

type Term = (x: number, channel: number) => number;

/** The sum of a term over the samples, for each channel. */
function sumsOf(
  channels: number,
  eachBlock: Training['eachBlock'],
  termFor: (block: Float64Array) => Term,
): Float64Array {
  const sums = new Float64Array(channels);
  eachBlock((block) => {
    const term = termFor(block);
    for (let i = 0, channel = 0; i < block.length; i += 1) {
      sums[channel]! += term(block[i]!, channel);
      channel = channel + 1 === channels ? 0 : channel + 1;
    }
  });
  return sums;
}

/** What `scale` learns from training inputs, [samples, ..., channels]. */
export function fitSteps(scale: Scale, inputs: RawValues, channels: number, unit: number): ScalingStep[] {
  const steps: ScalingStep[] = [];
  for (const name of stepsOfScale[scale]) {
    const before = [...steps];
    steps.push(
      methods[name].fit({
        channels,
        unit,
        eachBlock: (visit) => eachBlock(before, inputs, channels, visit),
      }),
    );
  }
  return steps;
}

/** out = the inputs after all steps, rounded once. Gives the index of the first value that float32 cannot hold, or -1. */
export function applySteps(
  steps: readonly ScalingStep[],
  inputs: RawValues,
  channels: number,
  out: Float32Array,
): number {
  let wrong = -1;
  eachBlock(steps, inputs, channels, (block, offset) => {
    out.set(block, offset);
    if (wrong >= 0) return;
    const end = offset + block.length;
    for (let i = offset; i < end && wrong < 0; i += 1) if (!Number.isFinite(out[i])) wrong = i;
  });
  return wrong;
}

/** True where the step's numbers are for this many channels. */
export function suitsChannels(step: ScalingStep, channels: number): boolean {
  const own = (methods[step.method] as Method<ScalingStep>).channels(step);
  return own === null || own === channels;
}

const blockValuesMax = 65_536;

function eachBlock(steps: readonly ScalingStep[], inputs: RawValues, channels: number, visit: Visit): void {
  const size = channels * Math.max(1, Math.floor(blockValuesMax / channels));
  const memory = new Float64Array(Math.min(size, inputs.length));
  for (let offset = 0; offset < inputs.length; offset += size) {
    const part = inputs.subarray(offset, offset + size);
    const block = memory.subarray(0, part.length);
    block.set(part);
    for (const step of steps) (methods[step.method] as Method<ScalingStep>).apply(step, block);
    visit(block, offset);
  }
}
