// The promise at the level of the engine: worlds of several workers end with the bytes of a worker alone, on a network
// with conv, batch norm, dropout, clipping and Adam, ragged last batches and empty shards.

import { describe, expect, it } from 'vitest';
import { meanReports } from '../../../src/engine/reports.ts';
import { StepSchedule } from '../../../src/engine/schedule.ts';
import type { Backend } from '../../../src/kernels/backend.ts';
import { nativeBackend } from '../../../src/kernels/native/backend.ts';
import { referenceBackend } from '../../../src/kernels/reference/backend.ts';
import { optimizerSchema } from '../../../src/optim/optimizer.ts';
import { cnn, mlp } from './jobs.ts';
import { classSamples } from './samples.ts';
import { evenBoundaries, type Job, World } from './world.ts';

const samples = 45;
const steps = 20;

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
