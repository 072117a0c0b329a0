// A run stays the one that it was begun as, whoever is connected: workers with other kernels are refused when nobody else is
// there, and another config is refused when no checkpoint is. What may change, workers that come back follow.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Cluster, type ClusterOptions, type Process, type Told } from '../chaos/cluster.ts';
import { doneEvent, lockstep, temporaryDirectory } from './command-line.ts';

const config = {
  name: 'same-run',
  data: { kind: 'digits', train: 640, test: 32, seed: 4 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  batch: 32,
  steps: 1_000,
  seed: 5,
  checkpoint: { everySteps: 100 },
  evaluate: { everySteps: 300 },
};
const configs = {
  'a.json': config,
  'late.json': { ...config, checkpoint: { everySteps: 1_000 } },
  'slower.json': { ...config, optimizer: { type: 'sgd', learningRate: 0.01 } },
  'measured.json': { ...config, metrics: [] },
  'other-cadence.json': { ...config, evaluate: { everySteps: 35 }, bucketBytes: 8192 },
};

const directory = temporaryDirectory();
const cwd = directory.path;
let expected = '';
/** The next coordinator takes what is there then. */
let options: { -readonly [K in keyof ClusterOptions]: ClusterOptions[K] };
let cluster: Cluster;

beforeAll(async () => {
  for (const [name, each] of Object.entries(configs)) writeFileSync(join(cwd, name), JSON.stringify(each));
  const args = ['train', 'a.json', '--workers', '0', '--backend', 'wasm', '--out', 'quiet', '--json'];
  expected = doneEvent(await lockstep(args, { cwd })).weightsSha256;
});
beforeEach(({ task }) => {
  options = { cwd, config: 'a.json', out: `run-${task.id}`, workers: 1 };
  cluster = new Cluster(options);
});
afterEach(() => cluster.end());
afterAll(() => directory.remove());

const startWorker = (backend: 'wasm' | 'reference'): Process =>
  cluster.startWorker({ more: ['--backend', backend] });

async function expectRefused(): Promise<void> {
  const stranger = startWorker('reference');
  expect(await stranger.ended).toBe(2);
  expect(stranger.stderr).toMatch(
    /numerics fingerprint of reference float32 differs from the run's wasm \w+ in \w+.*; give all workers the same --backend/,
  );
}

const isDone = ({ event }: Told): boolean => event.event === 'done';

async function expectTheQuietHash(done: Promise<Told>): Promise<void> {
  expect((await done).event).toMatchObject({ steps: config.steps, weightsSha256: expected });
}

async function killCoordinator(): Promise<void> {
  cluster.coordinator!.child.kill('SIGKILL');
  await cluster.coordinator!.ended;
}

it('takes no other kernels when nobody is connected, under this coordinator or the next', async () => {
  await cluster.startCoordinator(false);
  const written = cluster.next(({ event }) => event.event === 'checkpoint');
  const worker = startWorker('wasm');
  await written;
  const gone = cluster.next(({ event }) => event.event === 'notice' && / is gone: /.test(event.message));
  worker.child.kill('SIGKILL');
  await gone;
  await expectRefused();
  await killCoordinator();
  await cluster.startCoordinator(true);
  await expectRefused();
  const done = cluster.next(isDone);
  startWorker('wasm');
  await expectTheQuietHash(done);
});

it('takes no other config and no other kernels when there is no checkpoint; members that come back follow what may change', async () => {
  options.config = 'late.json';
  await cluster.startCoordinator(false);
  const stepped = cluster.next(({ event }) => event.event === 'step' && event.step >= 5);
  const worker = startWorker('wasm');
  await stepped;
  worker.child.kill('SIGSTOP');
  await killCoordinator();
  for (const [name, path] of [
    ['slower.json', 'optimizer.learningRate'],
    ['measured.json', 'metrics[0]'],
  ] as const) {
    options.config = name;
    await expect(cluster.startCoordinator(true)).rejects.toThrow(
      `the coordinator ended with 2: error: the run in ${options.out} was begun with ${path} `,
    );
  }
  options.config = 'other-cadence.json';
  await cluster.startCoordinator(true);
  await expectRefused();
  const done = cluster.next(isDone);
  worker.child.kill('SIGCONT');
  await expectTheQuietHash(done);
  const measured = cluster.told.flatMap(({ event }) => (event.event === 'evaluation' ? [event.step] : []));
  expect(measured).toContain(980);
  expect(await worker.ended).toBe(0);
});
