// Settings that float32 cannot carry are refused where the config is checked, so that no scalar of a program is 0, 1 or
// infinite unless the config says so. The property draws whole configs and decodes the programs they compile to.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../../src/autodiff/differentiate.ts';
import { compileModel } from '../../../src/compile/compile.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import type { RunConfig } from '../../../src/config/schema.ts';
import { StepSchedule } from '../../../src/engine/schedule.ts';
import { LockstepError } from '../../../src/errors.ts';
import { decodeInstruction, kernels } from '../../../src/kernels/kernel-list.ts';
import { buildModel } from '../../../src/nn/build.ts';
import type { Layer } from '../../../src/nn/description.ts';
import { initialValues } from '../../../src/nn/initialize.ts';

const base = {
  data: { kind: 'synthetic', train: 24, shape: [3, 3, 2], classes: 3 },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam' },
  batch: 24,
  steps: 2,
} as const;
const layers = (extra: readonly object[] = []) => ({
  model: { input: [3, 3, 2], layers: [...extra, { type: 'flatten' }, { type: 'dense', units: 3 }] },
});
const plain = layers();

function refusal(config: object): string {
  try {
    parseConfig(config, 'test');
  } catch (error) {
    expect(error).toBeInstanceOf(LockstepError);
    expect((error as LockstepError).code).toBe('LOCKSTEP_CONFIG_INVALID');
    return (error as LockstepError).message;
  }
  return 'accepted';
}

describe('a setting that float32 cannot carry', () => {
  const optimizer = (keys: object): object => ({ ...base, ...plain, optimizer: { type: 'adam', ...keys } });
  const tooSmall = 'becomes 0 in float32, the precision of the kernels; the nearest usable value';
  it.each([
    [
      'test: optimizer.beta2: 0.99999999 becomes 1 in float32, the precision of the kernels; the nearest usable value is 0.99999994',
      optimizer({ beta2: 0.99999999 }),
    ],
    [
      'test: optimizer.beta1: 0.99999999 becomes 1 in float32, the precision of the kernels; the nearest usable value is 0.99999994',
      optimizer({ beta1: 0.99999999 }),
    ],
    [`test: optimizer.epsilon: 1e-46 ${tooSmall} is 1e-45`, optimizer({ epsilon: 1e-46 })],
    [`test: optimizer.learningRate: 1e-50 ${tooSmall}s are 0 and 1e-45`, optimizer({ learningRate: 1e-50 })],
    [
      'test: optimizer.learningRate: 1e+39 becomes infinity in float32, the precision of the kernels; the nearest usable value is 3.4028235e+38',
      optimizer({ learningRate: 1e39 }),
    ],
    [
      `test: optimizer.learningRate.final: 1e-60 ${tooSmall}s are 0 and 1e-45`,
      optimizer({ learningRate: { type: 'cosine', peak: 1, total: 9, final: 1e-60 } }),
    ],
    [`test: optimizer.weightDecay: 1e-46 ${tooSmall}s are 0 and 1e-45`, optimizer({ weightDecay: 1e-46 })],
    [`test: clipNorm: 1e-50 ${tooSmall} is 1e-45`, { ...base, ...plain, clipNorm: 1e-50 }],
    [
      'test: clipNorm: 1e+39 becomes infinity in float32, the precision of the kernels; the nearest usable value is 3.4028235e+38',
      { ...base, ...plain, clipNorm: 1e39 },
    ],
    [
      `test: model.layers[0].epsilon: 1e-46 ${tooSmall} is 1e-45`,
      { ...base, ...layers([{ type: 'batchNorm', epsilon: 1e-46 }]) },
    ],
    [
      'test: model.layers[0].momentum: 0.99999999 becomes 1 in float32, the precision of the kernels; the nearest usable values are 0.99999994 and 1',
      { ...base, ...layers([{ type: 'batchNorm', momentum: 0.99999999 }]) },
    ],
    [
      `test: model.layers[0].alpha: 1e-46 ${tooSmall}s are 0 and 1e-45`,
      { ...base, ...layers([{ type: 'leakyRelu', alpha: 1e-46 }]) },
    ],
    [
      'test: model.layers[0].rate: 1e-9 makes the scale 1 / (1 - rate) 1 in float32, the precision of the kernels; the nearest usable values are 0 and 5.9604645e-8',
      { ...base, ...layers([{ type: 'dropout', rate: 1e-9 }]) },
    ],
    [
      'test: model.layers[0].rate: 0.999999999 becomes 1 in float32, the precision of the kernels; the nearest usable value is 0.99999994',
      { ...base, ...layers([{ type: 'dropout', rate: 0.999999999 }]) },
    ],
  ])('%s', (message, config) => {
    expect(refusal(config)).toBe(message);
  });

  it('is told once where it is out of bounds as well', () => {
    expect(refusal(optimizer({ beta2: 1.00000001 }))).toBe(
      'test: optimizer.beta2: must be less than 1, got 1.00000001',
    );
  });
});

/** Near every value at which float32 gives up, and ordinary ones. */
const scalar = fc.oneof(
  fc.constantFrom(
    0,
    1,
    0.5,
    0.9,
    1e-46,
    7e-46,
    1e-45,
    1e-38,
    1e38,
    3.4028235e38,
    3.4028236e38,
    1e39,
    1 - 2e-8,
    1 - 6e-8,
    1 + 3e-8,
    1 + 1.2e-7,
  ),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
);
/** At most one of them odd, the others left out, so that many configs are accepted. */
const some = <K extends string>(...names: readonly K[]) =>
  fc
    .tuple(fc.constantFrom(...names), scalar, fc.boolean())
    .map(([name, value, isGiven]) => (isGiven ? { [name]: value } : {}) as Partial<Record<K, number>>);

const optimizers = fc.oneof(
  some('learningRate', 'weightDecay', 'l2').map((keys) => ({ type: 'sgd', ...keys })),
  some('learningRate', 'weightDecay', 'l2', 'momentum').map((keys) => ({ type: 'momentum', ...keys })),
  some('learningRate', 'weightDecay', 'l2', 'beta1', 'beta2', 'epsilon').map((keys) => ({
    type: 'adam',
    ...keys,
  })),
  some('learningRate', 'weightDecay', 'epsilon').map((keys) => ({ type: 'adamW', decayed: 'all', ...keys })),
);
const layer = fc.oneof(
  some('momentum', 'epsilon').map((keys) => ({ type: 'batchNorm', ...keys })),
  some('rate').map((keys) => ({ type: 'dropout', ...keys })),
  some('alpha').map((keys) => ({ type: 'leakyRelu', ...keys })),
  some('alpha').map((keys) => ({ type: 'elu', ...keys })),
);
const configs = fc
  .record({ optimizer: optimizers, layers: fc.array(layer, { maxLength: 3 }), clip: some('clipNorm') })
  .map((drawn) => ({ ...base, ...layers(drawn.layers), optimizer: drawn.optimizer, ...drawn.clip }));

/** What the config says of each scalar argument, exactly. */
function settingsOf({ optimizer, clipNorm, model }: RunConfig): Readonly<Record<string, readonly number[]>> {
  const ofLayers = (pick: (layer: Layer) => number[]): number[] => model.layers.flatMap(pick);
  const own: { beta1?: number; beta2?: number; epsilon?: number; momentum?: number; type: string } =
    optimizer;
  const norms = (key: 'epsilon' | 'momentum'): number[] =>
    ofLayers((one) => (one.type === 'batchNorm' ? [one[key]] : []));
  return {
    beta1: [own.beta1 ?? []].flat(),
    beta2: [own.beta2 ?? []].flat(),
    epsilon: [own.epsilon ?? [], norms('epsilon')].flat(),
    momentum: [own.momentum ?? [], norms('momentum')].flat(),
    // Not every tensor is decayed, and most activations have no alpha.
    decay: [optimizer.l2, 0],
    decoupled: [optimizer.weightDecay, 0],
    alpha: [0, ...ofLayers((one) => ('alpha' in one ? [one.alpha] : []))],
    scale: ofLayers((one) => (one.type === 'dropout' ? [1 / (1 - one.rate)] : [])),
    maximum: [clipNorm ?? Number.POSITIVE_INFINITY],
    threshold: [0],
    value: [0],
  };
}

describe('the scalars of a program', () => {
  it('are finite, and 0 or 1 only where the config says so', () => {
    let accepted = 0;
    fc.assert(
      fc.property(configs, (input) => {
        if (refusal(input) !== 'accepted') return;
        accepted += 1;
        const config = parseConfig(input, 'test');
        const settings = settingsOf(config);
        const seen = new Map<string, number>();
        for (const [key, value] of scalarsOf(config)) {
          expect(isFaithful(value, settings[key]!), `${key} is ${value}, of ${settings[key]}`).toBe(true);
          seen.set(key, Math.max(value, seen.get(key) ?? 0));
        }
        expect(seen.get('decay')).toBe(Math.fround(config.optimizer.l2));
        expect(seen.get('decoupled')).toBe(Math.fround(config.optimizer.weightDecay));
        const { learningRate, biasCorrections } = new StepSchedule({
          samples: 24,
          batch: 24,
          seed: 1,
          optimizer: config.optimizer,
        }).at(1);
        expect(isFaithful(Math.fround(learningRate), [learningRate])).toBe(true);
        expect(Math.min(...biasCorrections.map(Math.fround))).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  /** It is one of the settings, rounded; and 0, 1 or infinite only where that setting is. */
  function isFaithful(value: number, settings: readonly number[]): boolean {
    return settings.some(
      (exact) =>
        Math.fround(exact) === value &&
        (exact === value || (Number.isFinite(value) && value !== 0 && value !== 1)),
    );
  }

  /** Every `s` argument of the compiled program. */
  function* scalarsOf({
    model: description,
    loss,
    metrics,
    optimizer,
    clipNorm,
    batch,
  }: RunConfig): Generator<[string, number]> {
    const model = buildModel(description, { loss, metrics });
    const { program } = compileModel({
      model, training: differentiate(model.graph), optimizer, clipNorm, batch,
      assignment: { shards: 2, firstShard: 0, endShard: 2, boundaries: [0, 2], lanes: 1 },
    }); // biome-ignore format: a table
    for (let at = 0; at < program.length; ) {
      const { name, args, next } = decodeInstruction(program, at);
      for (const [key, kind] of Object.entries(kernels[name].args)) if (kind === 's') yield [key, args[key]!];
      at = next;
    }
  }
});

it('initial weights are finite for every initializer that is accepted', () => {
  const initializer = fc.oneof(
    fc.record({ type: fc.constant('uniform'), low: scalar.map((x) => -x), high: scalar }),
    fc.record({ type: fc.constant('gaussian'), deviation: scalar }),
  );
  fc.assert(
    fc.property(initializer, fc.nat(1000), (drawn, seed) => {
      const config = {
        ...base,
        model: {
          input: [3, 3, 2],
          layers: [{ type: 'flatten' }, { type: 'dense', units: 3, initializer: drawn }],
        },
      };
      if (refusal(config) !== 'accepted') return;
      const { parameters } = buildModel(parseConfig(config, 'test').model, base);
      for (const values of initialValues(parameters, seed)) expect(values.every(Number.isFinite)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
