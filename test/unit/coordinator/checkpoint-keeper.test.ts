// Snapshots that come faster than the disk takes them: which of them become checkpoints. Real files.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointKeeper } from '../../../coordinator/checkpoint-keeper.ts';
import { planRun, type RunPlan } from '../../../coordinator/run-plan.ts';
import { ProtocolError } from '../../../proto/error.ts';
import { stateDigest } from '../../../src/checkpoint/state-digest.ts';
import { readCheckpoint } from '../../../src/checkpoint/store.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { loadDataset } from '../../../src/data/load.ts';

const base = {
  data: { kind: 'digits', train: 40, test: 20 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  metrics: ['accuracy'],
  optimizer: { type: 'sgd', learningRate: 0.1 },
  batch: 20,
  steps: 90,
  evaluate: { everySteps: 1 },
};

let out = '';
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'lockstep-keeper-'));
});
afterEach(() => rmSync(out, { recursive: true }));

async function planOf(checkpoint: object): Promise<RunPlan> {
  const config = parseConfig({ ...base, checkpoint }, 'test.json');
  const dataset = await loadDataset(config.data, { directory: '.' });
  return planRun({ config, dataset, out, workers: 1, stopAfterStep: undefined });
}

const nothing = { came: () => undefined, whole: () => undefined, written: () => undefined };

function take(keeper: CheckpointKeeper, plan: RunPlan, step: number): void {
  for (const { name, size } of plan.layout.sections) {
    const bytes = new Uint8Array(new Float32Array(size).fill(step).buffer);
    const total = bytes.length;
    keeper.take({ type: 'statePiece', generation: 1, step, section: name, offset: 0, total, bytes });
  }
}

/** A snapshot on which all agree. */
async function give(keeper: CheckpointKeeper, plan: RunPlan, step: number): Promise<void> {
  take(keeper, plan, step);
  await keeper.keep(step);
}

const steps = (): number[] =>
  readdirSync(join(out, 'checkpoints'))
    .flatMap((name) => Number(/^step-(\d+)\.safetensors$/.exec(name)?.[1] ?? 0) || [])
    .sort((a, b) => a - b);

describe('snapshots that come at once', () => {
  // Nothing is written before the last has come.
  it.each([
    ['the newest is kept', { keep: 9 }, [30]],
    ['the newest and the best are kept', { keep: 9, best: 'accuracy' }, [20, 30]],
  ] as const)('%s', async (_what, retention, kept) => {
    const plan = await planOf({ everySteps: 10, ...retention });
    const keeper = new CheckpointKeeper(plan, null, nothing);
    for (const [step, accuracy] of [
      [10, 0.5],
      [20, 0.9],
      [25, 0.9],
      [30, 0.7],
    ] as const) {
      void keeper.measured(step, { loss: 1, accuracy });
      void give(keeper, plan, step);
    }
    await keeper.settled();
    expect(steps()).toEqual(kept);
  });

  it('each has the evaluation of its own step, though it is written after the next one came', async () => {
    const plan = await planOf({ everySteps: 10, best: 'accuracy' });
    const keeper = new CheckpointKeeper(plan, null, nothing);
    void keeper.measured(10, { loss: 1, accuracy: 0.9 });
    void keeper.measured(20, { loss: 2, accuracy: 0.5 });
    void give(keeper, plan, 10);
    void give(keeper, plan, 20);
    await keeper.settled();
    expect(steps()).toEqual([10, 20]);
    const { metrics, step } = await readCheckpoint(join(out, 'checkpoints', 'step-000010.safetensors'));
    expect({ metrics, step }).toEqual({ metrics: { loss: 1, accuracy: 0.9 }, step: 10 });
  });
});

it('a snapshot is written when all agree on it, and not when its generation is over before', async () => {
  const plan = await planOf({ everySteps: 10 });
  const came: (readonly [number, number])[] = [];
  const keeper = new CheckpointKeeper(plan, null, { ...nothing, came: (...what) => came.push(what) });
  for (const step of [10, 20]) {
    void keeper.measured(step, { loss: 1, accuracy: 0.9 });
    take(keeper, plan, step);
    const floats = plan.layout.sections.map(({ size }) => ({ floats: new Float32Array(size).fill(step) }));
    expect(came.at(-1)).toEqual([step, stateDigest(floats)]);
    if (step === 10) await keeper.forget();
    await keeper.keep(10);
    await keeper.settled();
    expect(readdirSync(out)).toEqual([]);
  }
  await keeper.keep(20);
  expect(steps()).toEqual([20]);
});

it('a snapshot waits for its evaluation', async () => {
  const plan = await planOf({ everySteps: 10 });
  const keeper = new CheckpointKeeper(plan, null, nothing);
  await give(keeper, plan, 10);
  expect(readdirSync(out)).toEqual([]);
  await keeper.measured(10, { loss: 1, accuracy: 0.9 });
  expect(steps()).toEqual([10]);
});

it('a snapshot whose evaluation is lost with its membership is written without it, and again with it', async () => {
  const plan = await planOf({ everySteps: 10 });
  const whole: number[] = [];
  const keeper = new CheckpointKeeper(plan, null, {
    ...nothing,
    whole: (step) => whole.push(step),
  });
  const file = join(out, 'checkpoints', 'step-000010.safetensors');
  await give(keeper, plan, 10);
  expect(whole).toEqual([]);
  await keeper.forget();
  expect(whole).toEqual([10]);
  expect((await readCheckpoint(file)).metrics).toEqual({});
  void give(keeper, plan, 10);
  await keeper.measured(10, { loss: 1, accuracy: 0.9 });
  expect((await readCheckpoint(file)).metrics).toEqual({ loss: 1, accuracy: 0.9 });
});

it('a piece out of turn is an error of its own kind', async () => {
  const plan = await planOf({ everySteps: 10 });
  const keeper = new CheckpointKeeper(plan, null, nothing);
  const { name } = plan.layout.sections[0]!;
  const piece = { generation: 1, step: 10, section: name, offset: 4, total: 8, bytes: new Uint8Array(4) };
  expect(() => keeper.take({ type: 'statePiece', ...piece })).toThrow(ProtocolError);
});
