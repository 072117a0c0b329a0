// The directory of a run, or a part of it, is taken away while the run goes on: it ends, everywhere, with one line that says so.

import type { ChildProcess } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: 'c0ffee00'.repeat(8) };
const config = {
  name: 'endless',
  data: { kind: 'digits', train: 64, test: 0 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.01 },
  batch: 32,
  epochs: 1_000_000,
  checkpoint: { everySteps: 200 },
};
const children: ChildProcess[] = [];

beforeAll(() => writeFileSync(join(cwd, 'endless.json'), JSON.stringify(config)));
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  directory.remove();
});

const lastLine = ({ stderr }: Outcome): string => stderr.trimEnd().split('\n').at(-1)!;

it('the checkpoints: the run ends', async () => {
  const out = join(cwd, 'checkpoints-gone');
  const outcome = await lockstep(['train', 'endless.json', '--workers', '0', '--out', out, '--json'], {
    cwd,
    onOutput: (text) => {
      if (text.includes('"event":"checkpoint"'))
        rmSync(join(out, 'checkpoints'), { recursive: true, force: true, maxRetries: 3 });
    },
  });
  expect(outcome.exitCode, outcome.stderr).toBe(1);
  expect(lastLine(outcome)).toContain(`error: ${out}: was deleted, moved or replaced while the run went on`);
  expect(lastLine(outcome)).toMatch(
    /checkpoints is gone\), .*; start it again, with --resume where a checkpoint is left/,
  );
});

it('all of it: every process of the cluster ends, with the same error', async () => {
  const args = ['endless.json', '--workers', '2', '--out', 'cluster'];
  const onSpawn = (child: ChildProcess): void => void children.push(child);
  const coordinator = await startCoordinatorProcess(args, { cwd, env, onSpawn });
  const worker = (): Promise<Outcome> =>
    lockstep(['worker', '--join', coordinator.url, '--threads', '1'], { cwd, env });
  const workers = [worker(), worker()];
  await new Promise<void>((resolve) => {
    coordinator.child.stdout!.on('data', () => {
      if (coordinator.output().includes('"event":"checkpoint"')) resolve();
    });
  });
  rmSync(join(cwd, 'cluster'), { recursive: true, maxRetries: 3 });
  const all = await Promise.all([coordinator.ended, ...workers]);
  expect(all.map(({ exitCode }) => exitCode)).toEqual([1, 1, 1]);
  expect(new Set(all.map(lastLine)).size).toBe(1);
  expect(lastLine(all[0]!)).toMatch(/^error: cluster: was deleted, moved or replaced/);
  expect(existsSync(join(cwd, 'cluster', 'coordinator.lock'))).toBe(false);
});
