// Forward, backward and ten training steps against the numbers that PyTorch made (make-numbers.py), on every backend.
// The only tests besides central differences with a tolerance: two frameworks add in different orders.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LockstepError } from '../../src/errors.ts';
import type { LossKind } from '../../src/ir/ops.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { nativeBackend } from '../../src/kernels/native/backend.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { wasmBackend } from '../../src/kernels/wasm/backend.ts';
import type { MetricName, ModelInput } from '../../src/nn/description.ts';
import type { OptimizerInput } from '../../src/optim/optimizer.ts';
import { Solo } from '../support/solo.ts';

type Named = Readonly<Record<string, readonly number[]>>;

interface Numbers {
  readonly config: {
    readonly model: ModelInput;
    readonly loss: LossKind;
    readonly metrics: readonly MetricName[];
    readonly optimizer: OptimizerInput;
    readonly clipNorm?: number;
  };
  readonly samples: number;
  readonly batch: number;
  readonly inputs: readonly number[];
  readonly targets: readonly number[];
  readonly initial: Named;
  /** Of the mean loss of the first batch, before clipping. */
  readonly gradients: Named;
  /** Means over the batch, step by step; norms are null where nothing is clipped. */
  readonly losses: readonly number[];
  readonly metrics: readonly number[];
  readonly norms: readonly (number | null)[];
  readonly final: Named;
  readonly statistics: Named;
  /** The prediction of the first batch in inference mode, after the last step. */
  readonly evaluated: readonly number[];
}

const networks = ['mlp-momentum', 'mlp-nesterov', 'cnn-adam-clip', 'graph-adam-w'].map((name) => {
  const file = new URL(`./${name}.golden.json`, import.meta.url);
  return [name, JSON.parse(readFileSync(file, 'utf8')) as Numbers] as const;
});

/** Largest difference, as a share of the largest number of the tensor. */
const backends: readonly (readonly [name: string, make: () => Backend, tolerance: number])[] = [
  ['reference float64', () => referenceBackend(64), 1e-11],
  ['reference float32', () => referenceBackend(32), 2e-5],
  ['native', () => nativeBackend(), 2e-5],
  ['wasm', () => wasmBackend(), 2e-5],
];

/** The backend, or null where this machine cannot run it. */
function available(make: () => Backend): Backend | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'LOCKSTEP_BACKEND_UNAVAILABLE') return null;
    throw error;
  }
}

function expectClose(
  what: string,
  actual: ArrayLike<number>,
  expected: readonly number[],
  tolerance: number,
): void {
  expect(actual.length, what).toBe(expected.length);
  const scale = Math.max(1e-3, ...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!)));
  expect(worst / scale, what).toBeLessThanOrEqual(tolerance);
}

describe.each(backends)('%s computes what PyTorch computes', (_, make, tolerance) => {
  const backend = available(make);

  it.skipIf(backend === null).each(networks)('%s', (_, numbers) => {
    const { config, samples, batch, losses, metrics, norms } = numbers;
    const solo = new Solo({ ...config, backend: backend!, batch, shards: 3 });
    for (const [name, values] of Object.entries(numbers.initial)) solo.tensor(name).set(values);
    for (const { name, initializer } of solo.model.statistics) {
      solo.tensor(name).fill(initializer.kind === 'ones' ? 1 : 0);
    }
    const inputSize = numbers.inputs.length / samples;
    const targetSize = numbers.targets.length / samples;
    const load = (step: number): void => {
      const from = ((step - 1) * batch) % samples;
      solo.load(
        numbers.inputs.slice(from * inputSize, (from + batch) * inputSize),
        numbers.targets.slice(from * targetSize, (from + batch) * targetSize),
      );
    };

    losses.forEach((loss, i) => {
      load(i + 1);
      const reports = solo.step(i + 1);
      expectClose(`loss of step ${i + 1}`, [reports.loss! / batch], [loss], tolerance);
      expectClose(
        `metric of step ${i + 1}`,
        [reports[config.metrics[0]!]! / batch],
        [metrics[i]!],
        tolerance,
      );
      if (norms[i] !== null) expectClose(`norm of step ${i + 1}`, [reports.norm!], [norms[i]!], tolerance);
      if (i > 0) return;
      for (const [name, expected] of Object.entries(numbers.gradients)) {
        const actual = solo.gradient(name).map((element) => element / batch);
        expectClose(`gradient of ${name}`, actual, expected, tolerance);
      }
    });
    for (const [name, expected] of Object.entries({ ...numbers.final, ...numbers.statistics })) {
      expectClose(`${name} after ${losses.length} steps`, solo.tensor(name), expected, tolerance);
    }
    load(1);
    expectClose('prediction', solo.evaluate().output, numbers.evaluated, tolerance);
  });
});
