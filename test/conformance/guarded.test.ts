// No instruction of a whole program touches memory outside of its operands: every small model, on every backend, alone and
// among workers, with guards around every buffer.

import { describe, expect, it } from 'vitest';
import type { Splits } from '../../src/engine/lane.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { decodeInstruction, type KernelArguments, type KernelName } from '../../src/kernels/kernel-list.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { buildModel } from '../../src/nn/build.ts';
import { modelSchema } from '../../src/nn/description.ts';
import { philox, randomPurposes } from '../../src/numerics/philox.ts';
import { runGuarded } from '../support/guarded.ts';
import type { Job } from '../unit/engine/world.ts';
import { candidates } from './backends.ts';
import { type SmallModel, smallModels } from './small-models.ts';

const samples = 11;
const batch = 9;

/** Uniform in -1 .. 1; class indices, or targets in 0 .. 1. */
function splitsOf({ model, loss }: SmallModel): Splits {
  const { inputShape, targetSize, outputSize } = buildModel(modelSchema.parse(model), { loss, metrics: [] });
  const inputSize = inputShape.reduce((a, b) => a * b, 1);
  const words = new Uint32Array(4);
  const draw = (stream: number, i: number): number => {
    philox(1, randomPurposes.data, stream, 0, 0, i, words);
    return words[0]! * 2 ** -32;
  };
  const target = (u: number): number => (loss === 'softmaxCrossEntropy' ? Math.floor(u * outputSize) : u);
  const split = (stream: number, count: number) => ({
    inputs: shared(count * inputSize, (i) => 2 * draw(stream, i) - 1),
    targets: shared(count * targetSize, (i) => target(draw(stream + 1, i))),
  });
  return { train: split(1, samples), test: split(3, 7) };
}

function shared(length: number, value: (i: number) => number): Float32Array<SharedArrayBuffer> {
  const values = new Float32Array(new SharedArrayBuffer(length * 4));
  values.forEach((_, i) => {
    values[i] = value(i);
  });
  return values;
}

function jobOf({ model, loss }: SmallModel): Job {
  return {
    model,
    options: { loss, metrics: [] },
    optimizer: { type: 'adamW', learningRate: 0.01 },
    clipNorm: 0.5,
    // The second step has 2 samples, so that of 5 shards three are empty, and rows of the first step are left over.
    batch,
    shards: 5,
    seed: 3,
    bucketBytes: 200,
  };
}

function guardedRun(backend: Backend, small: SmallModel, boundaries: readonly number[], lanes: number) {
  return runGuarded({ backend, job: jobOf(small), splits: splitsOf(small), samples, boundaries, lanes });
}

/** Workers and lanes. */
const worlds = [
  { world: 'alone', boundaries: [0, 5], lanes: 1 },
  { world: 'alone, 3 lanes', boundaries: [0, 5], lanes: 3 },
  { world: '3 workers, 2 lanes each', boundaries: [0, 2, 2, 5], lanes: 2 },
] as const;

const present = candidates.flatMap(({ name, family, backend }) =>
  backend === null ? [] : [{ name, family, backend }],
);
/** What a world does to a program does not depend on the instruction set: the fastest and the reference meet all worlds. */
const cases = present.flatMap((candidate) => {
  const all = candidate === present[0] || candidate.family === 'reference';
  return worlds.filter((_, i) => all || i === 1).map((world) => ({ ...candidate, ...world }));
});

describe('every small model', () => {
  it.each(cases)('$name, $world: touches its operands alone', ({ backend, boundaries, lanes }) => {
    const faults: string[] = [];
    let instructions = 0;
    for (const [name, small] of Object.entries<SmallModel>(smallModels)) {
      try {
        instructions += guardedRun(backend, small, boundaries, lanes).instructions;
      } catch (error) {
        faults.push(`${name}: ${(error as Error).message}`);
      }
    }
    expect(faults).toEqual([]);
    expect(instructions).toBeGreaterThan(10 * Object.keys(smallModels).length);
  });
});

describe('a padded window of more floats than the usual scratch', () => {
  const padding = [0, 0, 1, 0] as const;
  const layers = [{ type: 'conv2d', filters: 1, kernel: 31, padding }, { type: 'flatten' }];
  const model = { input: [31, 30, 1200], layers };
  const deep: SmallModel = { model: model as SmallModel['model'], loss: 'meanSquaredError' };
  const natives = present.filter(({ name }) => name.startsWith('native')).slice(0, 1);

  it.each(natives)('$name: stays inside of the scratch', ({ backend }) => {
    expect(guardedRun(backend, deep, [0, 5], 1).instructions).toBeGreaterThan(10);
  });
});

describe('the guards', () => {
  const reference = referenceBackend(32);

  /** The reference with a fault of its own in every call of `kernel`. */
  function faulty<K extends KernelName>(
    kernel: K,
    fault: (floats: Float32Array, args: KernelArguments<K>) => void,
  ): Backend {
    return {
      ...reference,
      attach(handle, lane) {
        const runner = reference.attach(handle, lane);
        const { ints, floats } = runner.arena;
        return {
          arena: runner.arena,
          run(from, to, table) {
            runner.run(from, to, table);
            const { name, args } = decodeInstruction(ints, from);
            if (name === kernel) fault(floats as Float32Array, args as KernelArguments<K>);
          },
        };
      },
    };
  }
  const model = smallModels['conv2d, relu, maxPool, conv2d'];
  const run = (backend: Backend) => guardedRun(backend, model, [0, 5], 1);

  it('see a store behind the output', () => {
    const backend = faulty('convInputGradient', (floats, { dx, height, width, channels }) => {
      floats[dx + batch * height * width * channels] = 1;
    });
    expect(() => run(backend)).toThrow(
      /^convInputGradient -> .* wrote outside of its outputs: 0 words behind /,
    );
  });

  it('see a store into another buffer', () => {
    const backend = faulty('denseForward', (floats, { x }) => {
      floats[x] = 0.5;
    });
    expect(() => run(backend)).toThrow(/^denseForward -> dense1.* wrote outside of its outputs: word 0 of /);
  });

  it('see a load behind an operand', () => {
    const backend = faulty('denseForward', (floats, { y, x, inputs }) => {
      floats[y]! += 0 * floats[x + batch * inputs]!;
    });
    expect(() => run(backend)).toThrow(/^denseForward -> dense1.* reads outside of its operands/);
  });

  it('see a load of what nobody has written in this step', () => {
    // The second step has 2 samples; the rows behind them are left over from the first one.
    const backend = faulty('denseForward', (floats, { y, x, inputs }) => {
      floats[y]! += 0 * floats[x + (batch - 1) * inputs]!;
    });
    expect(() => run(backend)).toThrow(/reads outside of its operands, or what nobody has written/);
  });
});
