// The promise, by bytes: one weights hash for every number of workers and threads and every instruction set, on a network
// with convolution, synchronised batch norm, dropout, clipping and Adam. The last batch of an epoch has 5 samples for 8
// shards, so that some shards are empty; 3 and 5 workers cannot share 8 shards evenly.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { doneEvent, lockstep, temporaryDirectory } from './command-line.ts';

const config = {
  name: 'promise',
  data: { kind: 'digits', train: 245, test: 60, seed: 1 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 6, kernel: 3, stride: 2, padding: 'same', bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'conv2d', filters: 17, kernel: 3, padding: 'valid' },
      { type: 'maxPool', kernel: 2 },
      { type: 'batchNorm' },
      { type: 'gelu' },
      { type: 'flatten' },
      { type: 'dropout', rate: 0.3 },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  metrics: ['accuracy'],
  optimizer: { type: 'adam', learningRate: 0.003 },
  clipNorm: 0.5,
  batch: 48,
  epochs: 3,
  seed: 7,
};

const directory = temporaryDirectory();
const configPath = join(directory.path, 'promise.json');
let run = 0;

beforeAll(() => writeFileSync(configPath, JSON.stringify(config)));
afterAll(() => directory.remove());

async function hashOf(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  run += 1;
  const out = join(directory.path, `run-${run}`);
  const outcome = await lockstep(['train', configPath, '--out', out, '--json', ...args], {
    cwd: directory.path,
    env,
  });
  const done = doneEvent(outcome);
  expect(done.steps).toBe(18);
  return done.weightsSha256;
}

describe('native kernels', () => {
  let expected = '';

  it('train in one process, without sockets', async () => {
    expected = await hashOf(['--workers', '0', '--threads', '1', '--backend', 'native']);
    expect(expected).toMatch(/^[0-9a-f]{64}$/);
  });

  const cases = [1, 2, 3, 5].flatMap((workers) =>
    [1, 2].flatMap((threads) => ['avx512', 'avx2'].map((isa) => ({ workers, threads, isa }))),
  );
  it.each(cases)('$workers workers x $threads threads on $isa', async ({ workers, threads, isa }) => {
    const hash = await hashOf(['--workers', `${workers}`, '--threads', `${threads}`, '--backend', 'native'], {
      LOCKSTEP_ISA: isa,
    });
    expect(hash).toBe(expected);
  });

  it.each([2, 3, 5])('%s workers whose messages arrive late and out of order', async (workers) => {
    const hash = await hashOf(['--workers', `${workers}`, '--threads', '1', '--backend', 'native'], {
      LOCKSTEP_SHUFFLE_SEED: `${workers * 101}`,
    });
    expect(hash).toBe(expected);
  });
});

describe('WebAssembly kernels', () => {
  let expected = '';

  it('train in one process, without sockets', async () => {
    expected = await hashOf(['--workers', '0', '--threads', '2', '--backend', 'wasm']);
    expect(expected).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([1, 2, 3, 5].flatMap((workers) => [1, 2].map((threads) => ({ workers, threads }))))(
    '$workers workers x $threads threads',
    async ({ workers, threads }) => {
      const args = ['--workers', `${workers}`, '--threads', `${threads}`, '--backend', 'wasm'];
      expect(await hashOf(args)).toBe(expected);
    },
  );
});
