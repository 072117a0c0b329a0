// The promise at the level of the engine: worlds of several workers end with the bytes of a worker alone, on a network
// with conv, batch norm, dropout, clipping and Adam, ragged last batches and empty shards.

import { describe, expect, it } from 'vitest';
import { meanReports } from '../../../src/engine/reports.ts';
import { StepSchedule } from '../../../src/engine/schedule.ts';
import type { Backend } from '../../../src/kernels/backend.ts';
import { nativeBackend } from '../../../src/kernels/native/backend.ts';
import { referenceBackend } from '../../../src/kernels/reference/backend.ts';
import { optimizerSchema } from '../../../src/optim/optimizer.ts';
import { classSamples } from './samples.ts';
import { evenBoundaries, type Job, World } from './world.ts';

const samples = 45;
const steps = 20;

const cnn: Job = {
  model: {
    input: [6, 6, 2],
    layers: [
      { type: 'conv2d', filters: 5, kernel: 3 },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'maxPool' },
      { type: 'conv2d', filters: 3, kernel: 2, padding: 'valid' },
      { type: 'batchNorm', sync: 'shard' },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dropout', rate: 0.3 },
      { type: 'dense', units: 7 },
      { type: 'relu' },
      { type: 'dense', units: 3 },
    ],
  },
  options: { loss: 'softmaxCrossEntropy', metrics: ['accuracy'] },
  optimizer: { type: 'adamW', learningRate: 0.01 },
  clipNorm: 0.5,
  batch: 20,
  shards: 8,
  seed: 3,
  bucketBytes: 400,
};

const mlp: Job = {
  model: {
    input: [72],
    layers: [{ type: 'dense', units: 16 }, { type: 'relu' }, { type: 'dense', units: 3 }],
  },
  options: { loss: 'softmaxCrossEntropy', metrics: ['accuracy'] },
  optimizer: { type: 'momentum', learningRate: 0.1 },
  batch: 15,
  shards: 8,
  seed: 5,
};

function train(job: Job, boundaries: readonly number[], backend: Backend) {
  const splits = classSamples(samples, 72, 3);
  const world = new World(job, boundaries, backend, splits);
  const schedule = new StepSchedule({ ...job, samples, optimizer: optimizerSchema.parse(job.optimizer) });
  const losses: number[] = [];
  for (let step = 1; step <= steps; step += 1) {
    const plan = schedule.at(step);
    const { sums } = world.step(plan);
    losses.push(meanReports(sums, job.shards, plan.sampleIds.length, ['loss', 'accuracy']).loss!);
  }
  return { states: world.states().map((state) => state.toString('base64')), losses };
}

const backends: [string, () => Backend][] = [
  ['reference', () => referenceBackend(32)],
  ['native', () => nativeBackend()],
];

for (const [name, backendOf] of backends) {
  const available = ((): boolean => {
    try {
      backendOf();
      return true;
    } catch {
      return false;
    }
  })();
  describe.skipIf(!available)(`worlds on the ${name} backend`, () => {
    it.each([
      ['cnn', cnn],
      ['mlp', mlp],
    ])('%s: 2, 3 and 5 workers, an empty one among them, end with the bytes of one', (_, job) => {
      const backend = backendOf();
      const alone = train(job, [0, 8], backend);
      const worlds = [...[2, 3, 5].map((workers) => evenBoundaries(workers, 8)), [0, 0, 3, 8]];
      for (const boundaries of worlds) {
        const world = train(job, boundaries, backend);
        expect(new Set(world.states)).toEqual(new Set(alone.states));
        expect(world.losses).toEqual(alone.losses);
      }
      expect(alone.losses.at(-1)).toBeLessThan(alone.losses[0]!);
      expect(alone.losses.every(Number.isFinite)).toBe(true);
    });
  });
}
