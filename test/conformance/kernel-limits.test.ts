// Convolutions whose windows hold as many values as a lane's scratch, and more: kernels agree with the float64 reference and
// write nowhere else. What src/kernels/limits.ts forbids is refused when a model is compiled.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { type BatteryCase, input, layouts, output } from '../../src/kernels/battery-case.ts';
import { caseRunner } from '../../src/kernels/battery-run.ts';
import { exceededLimit } from '../../src/kernels/limits.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { scratchFloats, scratchFloatsFor } from '../../src/kernels/scratch.ts';
import { buildModel } from '../../src/nn/build.ts';
import { type LayerInput, modelSchema } from '../../src/nn/description.ts';
import { optimizerSchema } from '../../src/optim/optimizer.ts';
import { candidates } from './backends.ts';

const blocksSizeMax = 2 ** 23;
/** Values of the largest window that is drawn. */
const windowValuesMax = 1.25 * scratchFloats;
const seed = Math.floor(Math.random() * 2 ** 31);

interface Drawn {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly image: readonly [number, number];
  readonly pad: readonly [number, number];
  /** Of the largest window that is allowed. */
  readonly share: number;
  readonly few: number;
}

const axis = fc.record({
  kernel: fc.integer({ min: 1, max: 12 }),
  stride: fc.constantFrom(1, 1, 2, 5),
  image: fc.integer({ min: 1, max: 9 }),
  pad: fc.nat(11),
});
const drawnSizes = fc
  .record({
    y: axis,
    x: axis,
    share: fc.oneof(fc.constant(1), fc.double({ min: 0.4, max: 1, noNaN: true })),
    few: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ y, x, share, few }): Drawn => {
    const pad = (one: typeof y): number => Math.min(one.pad, one.kernel - 1);
    return {
      kernel: [y.kernel, x.kernel],
      stride: [y.stride, x.stride],
      image: [y.image, x.image],
      pad: [pad(y), pad(x)],
      share,
      few,
    };
  })
  .filter(({ kernel, image, pad }) => [0, 1].every((i) => image[i]! + 2 * pad[i]! >= kernel[i]!));

type ConvKernel = 'convForward' | 'convInputGradient' | 'convWeightGradient';

/** A case of one sample whose window has `share` of the largest, as few filters (or channels) as drawn. */
function caseOf(kernel: ConvKernel, drawn: Drawn): { test: BatteryCase; terms: number; size: number } {
  const { image, stride, pad, share, few } = drawn;
  const out = [0, 1].map((i) => Math.floor((image[i]! + 2 * pad[i]! - drawn.kernel[i]!) / stride[i]!) + 1);
  const backward = kernel === 'convInputGradient';
  const taps = backward
    ? Math.min(Math.ceil(drawn.kernel[0] / stride[0]), out[0]!) * Math.ceil(drawn.kernel[1] / stride[1])
    : Math.min(drawn.kernel[0], image[0]) * drawn.kernel[1];
  const many = Math.max(1, Math.floor((windowValuesMax * share) / taps));
  const [channels, filters] = backward ? [few, many] : [many, few];
  const weights = drawn.kernel[0] * drawn.kernel[1] * channels * filters;
  const [xs, ys] = [image[0] * image[1] * channels, out[0]! * out[1]! * filters];
  const window = {
    height: image[0], width: image[1], channels, filters, kernelHeight: drawn.kernel[0], kernelWidth: drawn.kernel[1],
    strideHeight: stride[0], strideWidth: stride[1], padTop: pad[0], padLeft: pad[1], outHeight: out[0]!, outWidth: out[1]!,
  }; // biome-ignore format: a table
  const blocks = {
    convForward: { y: output(ys), x: input(xs), w: input(weights), bias: null, activation: 0 },
    convInputGradient: { dx: output(xs), dy: input(ys), w: input(weights), mask: null },
    convWeightGradient: { dw: output(weights), stride: weights, x: input(xs), dy: input(ys) },
  }[kernel];
  const name = JSON.stringify({ ...window, share });
  const terms =
    kernel === 'convWeightGradient' ? out[0]! * out[1]! : drawn.kernel[0] * drawn.kernel[1] * many;
  return {
    test: { kernel, name, layout: layouts.one, args: { ...blocks, ...window } },
    terms,
    size: weights + xs + ys,
  };
}

const backends = candidates.filter(
  ({ name, backend }) => backend !== null && /avx512|avx2|portable|neon|strict/.test(name),
);

describe.each(['convForward', 'convInputGradient', 'convWeightGradient'] as const)('%s', (kernel) => {
  it(`agrees with the reference on windows as large as the scratch (seed ${seed})`, {
    timeout: 240_000,
  }, () => {
    const oracle = caseRunner(referenceBackend(64), 1, { blocksSizeMax });
    expect(backends.length).toBeGreaterThan(0);
    fc.assert(
      fc.property(drawnSizes, (drawn) => {
        const { test, terms, size } = caseOf(kernel, drawn);
        fc.pre(size < blocksSizeMax - 4096);
        expect(exceededLimit(kernel, test.args as Record<string, number>)).toBeNull();
        const expected = oracle(test).floats;
        // Far below the size of one term, far above the rounding of as many.
        const tolerance = 2 ** -24 * Math.max(terms, 256);
        const scratchSize = scratchFloatsFor(kernel, test.args);
        for (const { name, backend } of backends) {
          const { floats } = caseRunner(backend!, 1, { blocksSizeMax, scratchSize })(test);
          const wrong = floats.findIndex((value, i) => !(Math.abs(value - expected[i]!) <= tolerance));
          expect(wrong, `${name} ${test.name}: ${floats[wrong]}, not ${expected[wrong]}`).toBe(-1);
        }
      }),
      { seed, numRuns: 5 },
    );
  });
});

describe('a model beyond a limit', () => {
  it.each([
    [
      'LOCKSTEP_MODEL_INVALID',
      'layer "wide" has 4000000000 values in a padded row, but its kernel (maxPoolForward) takes at most 1073741824; use less padding',
      [2, 2, 2],
      [
        {
          type: 'maxPool',
          name: 'wide',
          kernel: [1, 1e9],
          padding: [0, 0, 999999999, 999999999],
          stride: [1, 1e9],
        },
      ],
    ],
    [
      'LOCKSTEP_MODEL_INVALID',
      'layer "far" has 10000000000 pixels of its stride, but its kernel (convInputGradient) takes at most 65536; use a stride no larger than the image',
      [4, 4, 2],
      [
        { type: 'conv2d', filters: 2, kernel: 1 },
        { type: 'conv2d', name: 'far', filters: 2, kernel: 1, stride: 100000 },
      ],
    ],
    ['LOCKSTEP_OUT_OF_MEMORY', 'one arena can address', [20000, 30000, 4], [{ type: 'relu' }]],
  ] as const)('is refused: %s %s', (code, message, shape, layers) => {
    expect(() => compileAll(shape, layers as unknown as LayerInput[])).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  function compileAll(shape: readonly number[], layers: readonly LayerInput[]): void {
    const description = modelSchema.parse({
      input: shape,
      layers: [...layers, { type: 'globalAveragePool' }, { type: 'dense', units: 1 }],
    });
    const model = buildModel(description, { loss: 'meanSquaredError' });
    const assignment = { shards: 1, firstShard: 0, endShard: 1, boundaries: [0, 1], lanes: 1 };
    compileModel({
      model,
      training: differentiate(model.graph),
      optimizer: optimizerSchema.parse({ type: 'sgd' }),
      batch: 1,
      assignment,
    });
  }
});
