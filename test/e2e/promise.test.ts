// The promise, by bytes: one weights hash for every number of workers and threads and every instruction set, on a network
// with convolution, synchronised batch norm, dropout, clipping and Adam. The last batch of an epoch has 5 samples for 8
// shards, so that some shards are empty; 3 and 5 workers cannot share 8 shards evenly.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InstructionSet, instructionSets, nativeBackend } from '../../src/kernels/native/backend.ts';
import { wasmBackend } from '../../src/kernels/wasm/backend.ts';
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

/** Instruction sets that this machine lacks, with the reason. */
const missing = new Map<InstructionSet, string>();
for (const isa of instructionSets) {
  try {
    nativeBackend(isa);
  } catch (error) {
    missing.set(isa, (error as Error).message);
  }
}
const present = instructionSets.filter((isa) => !missing.has(isa));
/** Every cluster on these; the portable one is slow, and runs once where there are others. */
const thorough = present.length > 1 ? present.filter((isa) => isa !== 'portable') : present;
const cases = [
  ...[1, 2, 3, 5].flatMap((workers) =>
    [1, 2].flatMap((threads) => thorough.map((isa) => ({ workers, threads, isa }))),
  ),
  ...present.filter((isa) => !thorough.includes(isa)).map((isa) => ({ workers: 2, threads: 2, isa })),
];

describe.skipIf(present.length === 0)(
  present.length > 0 ? 'native kernels' : 'native kernels (not here)',
  () => {
    let expected = '';

    it('train in one process, without sockets', async () => {
      expected = await hashOf(['--workers', '0', '--threads', '1', '--backend', 'native']);
      expect(expected).toMatch(/^[0-9a-f]{64}$/);
    });

    it.each(cases)('$workers workers x $threads threads on $isa', async ({ workers, threads, isa }) => {
      const hash = await hashOf(
        ['--workers', `${workers}`, '--threads', `${threads}`, '--backend', 'native'],
        {
          LOCKSTEP_ISA: isa,
        },
      );
      expect(hash).toBe(expected);
    });

    it.each([2, 3, 5])('%s workers whose messages arrive late and out of order', async (workers) => {
      const hash = await hashOf(['--workers', `${workers}`, '--threads', '1', '--backend', 'native'], {
        LOCKSTEP_SHUFFLE_SEED: `${workers * 101}`,
      });
      expect(hash).toBe(expected);
    });
  },
);

describe('instruction sets that are not here', () => {
  for (const [isa, reason] of missing) it.skip(`${isa}: ${reason}`, () => {});

  it('leave at least WebAssembly', () => {
    expect(wasmBackend('strict').variant).toBe('strict');
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
