// Runs that go wrong after they have begun: one clear line, the right exit code, and the last good checkpoint stays.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

const directory = temporaryDirectory();
const run = (args: readonly string[]): Promise<Outcome> => lockstep(args, { cwd: directory.path });

beforeAll(() => {
  const config = {
    name: 'diverging',
    data: { kind: 'digits', train: 320, test: 20 },
    model: {
      input: [28, 28, 1],
      layers: [
        { type: 'flatten' },
        { type: 'dense', units: 16 },
        { type: 'relu' },
        { type: 'dense', units: 10 },
      ],
    },
    loss: 'softmaxCrossEntropy',
    metrics: ['accuracy'],
    // From step 5 on the learning rate is absurd.
    optimizer: { type: 'sgd', learningRate: { type: 'step', initial: 0.01, factor: 1e36, every: 4 } },
    batch: 32,
    // Before it leaves the range of float32, which is refused.
    steps: 8,
    checkpoint: { everySteps: 4 },
  };
  writeFileSync(join(directory.path, 'diverging.json'), JSON.stringify(config));
});
afterAll(() => directory.remove());

describe('a loss that is not finite', () => {
  it.each(['0', '2'])(
    'stops the run of %s workers at its step, and the last good checkpoint stays',
    async (workers) => {
      const out = `workers-${workers}`;
      const args = ['train', 'diverging.json', '--workers', workers, '--threads', '1', '--out', out];
      const { exitCode, stderr } = await run(args);
      expect(exitCode).toBe(1);
      expect(stderr.trimEnd().split('\n').at(-1)).toMatch(
        /^error: the loss is not finite in step [67], shard \d; the first tensor that went bad is \S+/,
      );
      expect(stderr).not.toMatch(/^\s+at /m);
      const kept = await run(['evaluate', out, '--json']);
      const { step, metrics } = JSON.parse(kept.stdout);
      expect(step).toBe(4);
      expect(Number.isFinite(metrics.loss)).toBe(true);
    },
  );

  it('ends every process of a cluster within seconds, with the same error', async () => {
    const env = { LOCKSTEP_TOKEN: 'c0ffee00'.repeat(8) };
    const settings = { cwd: directory.path, env };
    const args = ['diverging.json', '--workers', '3', '--out', 'cluster'];
    const coordinator = await startCoordinatorProcess(args, { ...settings, onSpawn: () => undefined });
    const worker = async (): Promise<Outcome & { readonly endedMs: number }> => {
      const outcome = await lockstep(['worker', '--join', coordinator.url, '--threads', '1'], settings);
      return { ...outcome, endedMs: performance.now() };
    };
    const workers = await Promise.all([worker(), worker(), worker()]);
    const lastLine = ({ stderr }: Outcome): string => stderr.trimEnd().split('\n').at(-1)!;
    const all = [await coordinator.ended, ...workers];
    expect(new Set(all.map(lastLine)).size).toBe(1);
    expect(lastLine(all[0]!)).toMatch(
      /^error: the loss is not finite in step [67], shard \d; the first tensor/,
    );
    expect(all.map(({ exitCode }) => exitCode)).toEqual([1, 1, 1, 1]);
    const ended = workers.map(({ endedMs }) => endedMs);
    expect(Math.max(...ended) - Math.min(...ended)).toBeLessThan(5_000);
  });
});
