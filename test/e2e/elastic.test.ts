// Workers and coordinators come and go, are killed and stopped: the weights are those of the quiet run, by bytes.

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Token } from '../../proto/transport/token.ts';
import { joinRun } from '../../worker/run.ts';
import {
  cleanEnvironment,
  doneEvent,
  entry,
  lockstep,
  type Outcome,
  temporaryDirectory,
} from './command-line.ts';

const config = {
  name: 'elastic',
  data: { kind: 'digits', train: 600, test: 100, seed: 4 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 12, kernel: 3, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'conv2d', filters: 16, kernel: 3, stride: 2 },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam', learningRate: 0.001 },
  clipNorm: 2,
  batch: 50,
  epochs: 60,
  evaluate: { everyEpochs: 10 },
  checkpoint: { everyEpochs: 5 },
  seed: 5,
};
const steps = 720;
const token = 'c0ffee00'.repeat(8);

const directory = temporaryDirectory();
const cwd = directory.path;
const env = { ...cleanEnvironment(), LOCKSTEP_TOKEN: token };
let expected = '';
let children: Running[] = [];
let coordinators = 0;

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  /** Resolves when stdout matches. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
}

function start(args: readonly string[]): Running {
  const child = spawn(process.execPath, [entry, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const look of waiting) look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr, seconds: 0 }));
  });
  const running: Running = {
    child,
    ended,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(stdout);
          if (found === null) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
        void ended.then(() => reject(new Error(`it ended without ${pattern}: ${stderr}`)));
      }),
  };
  children.push(running);
  return running;
}

const startCoordinator = (out: string, port: number, more: readonly string[] = []): Running =>
  start(['coordinator', 'elastic.json', '--listen', `127.0.0.1:${port}`, '--out', out, '--json', ...more]);

const startWorker = (port: number): Running =>
  start(['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1']);

async function listening(coordinator: Running): Promise<number> {
  const [, port] = await coordinator.said(/"url":"ws:\/\/127\.0\.0\.1:(\d+)"/);
  return Number(port);
}

/** From this step on. */
const reached = (run: Running, step: number): Promise<unknown> =>
  run.said(new RegExp(`"event":"step","step":(${step}|${step + 1}|${step + 2}|${step + 3})\\b`));

beforeAll(async () => {
  writeFileSync(join(cwd, 'elastic.json'), JSON.stringify(config));
  const quiet = await lockstep(['train', 'elastic.json', '--workers', '0', '--out', 'quiet', '--json'], {
    cwd,
  });
  const done = doneEvent(quiet);
  expect(done.steps).toBe(steps);
  expected = done.weightsSha256;
});
afterEach(() => {
  for (const { child } of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

async function expectQuietWeights(coordinator: Running): Promise<void> {
  const outcome = await coordinator.ended;
  expect(doneEvent(outcome)).toMatchObject({ steps, weightsSha256: expected });
  expect(outcome.stderr).not.toMatch(/^\s+at /m);
}

async function begin(
  workers: number,
): Promise<{ coordinator: Running; port: number; all: Running[]; out: string }> {
  coordinators += 1;
  const out = `run-${coordinators}`;
  const coordinator = startCoordinator(out, 0, ['--workers', `${workers}`]);
  const port = await listening(coordinator);
  return { coordinator, port, out, all: Array.from({ length: workers }, () => startWorker(port)) };
}

it('goes on when workers are killed, and takes in new ones', async () => {
  const { coordinator, port, all } = await begin(3);
  await reached(coordinator, 60);
  all[1]!.child.kill('SIGKILL');
  await reached(coordinator, 120);
  all[0]!.child.kill('SIGKILL');
  startWorker(port);
  await reached(coordinator, 240);
  startWorker(port);
  startWorker(port);
  await expectQuietWeights(coordinator);
});

it('lets a worker leave on SIGTERM, which ends with exit code 0 or that of the signal', async () => {
  const { coordinator, all } = await begin(2);
  await reached(coordinator, 60);
  all[0]!.child.kill('SIGTERM');
  const left = await all[0]!.ended;
  expect([0, 143]).toContain(left.exitCode);
  await expectQuietWeights(coordinator);
});

it('tells a worker that leaves in how many steps it took part', async () => {
  const { coordinator, port } = await begin(1);
  await reached(coordinator, 20);
  const stop: (() => void)[] = [];
  const joined = joinRun({
    joinUrl: `ws://127.0.0.1:${port}`,
    token: Token.read({ environment: env })!,
    threads: 1,
    backend: undefined,
    listen: { host: '127.0.0.1', port: 0 },
    waitMs: 0,
    insecure: false,
    signal: { stopRequested: false, onStop: (listener) => stop.push(listener) },
    onNotice: () => undefined,
  });
  const [, at] = await coordinator.said(/"world":2,[\s\S]*?"event":"step","step":(\d+)/);
  await reached(coordinator, Number(at) + 30);
  for (const listener of stop) listener();
  const { steps: taken } = await joined;
  expect(taken).toBeGreaterThanOrEqual(30);
  expect(taken).toBeLessThanOrEqual(steps - Number(at) + 1);
});

it('goes on from a checkpoint when all workers are killed and others come', async () => {
  const { coordinator, port, all } = await begin(2);
  await coordinator.said(/"event":"checkpoint","step":120\b/);
  for (const { child } of all) child.kill('SIGKILL');
  await Promise.all(all.map(({ ended }) => ended));
  startWorker(port);
  await expectQuietWeights(coordinator);
});

it('leaves out a worker that is stopped, and takes it in again when it goes on', async () => {
  const { coordinator, all } = await begin(2);
  await reached(coordinator, 60);
  all[1]!.child.kill('SIGSTOP');
  await coordinator.said(/"event":"membership","generation":2\b/);
  await reached(coordinator, 200);
  all[1]!.child.kill('SIGCONT');
  await expectQuietWeights(coordinator);
});

it('takes a run up again when the coordinator was killed; workers go on meanwhile', async () => {
  const { coordinator, port, out } = await begin(2);
  await reached(coordinator, 100);
  coordinator.child.kill('SIGKILL');
  await coordinator.ended;
  const second = startCoordinator(out, port, ['--workers', '2', '--resume']);
  await expectQuietWeights(second);
});

it('keeps a second coordinator off a run that has one', async () => {
  const { out } = await begin(1);
  const second = await startCoordinator(out, 0, ['--resume']).ended;
  expect(second.exitCode).toBe(2);
  expect(second.stderr).toMatch(/^error: process \d+ already coordinates this run/m);
});
