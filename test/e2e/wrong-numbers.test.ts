// Numbers that are finite and wrong: a bit that flips on its way to one peer, a worker that sends wrong gradients or sums, a
// machine that computes wrongly. Wherever the members' states come to differ, the run ends with the hash of the quiet one, or
// fails and stands at a checkpoint on which all agreed.

import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Token } from '../../proto/transport/token.ts';
import { doneEvent, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';
import { brokenWorker, hostileWorker, type Spoiling } from './hostile-worker.ts';

const configOf = (units: number) => ({
  name: 'wrong-numbers',
  data: { kind: 'digits', train: 640, test: 32 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'flatten' },
      { type: 'dense', units },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam', learningRate: 0.001 },
  batch: 32,
  steps: 150,
  checkpoint: { everySteps: 50 },
});
const steps = configOf(1).steps;
/** A small gradient every worker adds alone; a large one is reduced in chunks, each of which has an owner. */
const units = { small: 16, large: 128 } as const;
type Size = keyof typeof units;
const expected = { small: '', large: '' };
const token = Token.generate();
const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: token.reveal() };
let runs = 0;
let children: ChildProcess[] = [];

beforeAll(async () => {
  for (const size of ['small', 'large'] as const) {
    writeFileSync(join(cwd, `${size}.json`), JSON.stringify(configOf(units[size])));
    const args = ['train', `${size}.json`, '--workers', '0', '--out', `quiet-${size}`, '--json'];
    expected[size] = doneEvent(await lockstep(args, { cwd })).weightsSha256;
  }
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

type Start = (url: string) => Promise<Outcome>;
const honest: Start = (url) => lockstep(['worker', '--join', url, '--threads', '1'], { cwd, env });
const broken: Start = (url) => brokenWorker(url, { cwd, env });
const spoiling =
  (how: Spoiling): Start =>
  (url) =>
    hostileWorker(url, { cwd, env }, how);

/** The coordinator's outcome, and those of the workers. */
async function run(
  size: Size,
  out: string,
  workers: readonly Start[],
  ...more: string[]
): Promise<readonly Outcome[]> {
  const args = [`${size}.json`, '--workers', String(workers.length), '--out', out, ...more];
  const onSpawn = (child: ChildProcess): number => children.push(child);
  const coordinator = await startCoordinatorProcess(args, { cwd, env, onSpawn });
  const outcomes = workers.map((start) => start(coordinator.url));
  return [await coordinator.ended, ...(await Promise.all(outcomes))];
}

const toOnePeer =
  'globalThis.peer ??= this; if (this === globalThis.peer) floats[0] += 0.01; send(head, data);';
const cases: readonly (readonly [string, Size, number, Spoiling])[] = [
  [
    'one bit of one sum flips on its way to one peer',
    'large',
    3,
    {
      step: 60,
      type: 'sum',
      spoil: 'if (!globalThis.flipped) { globalThis.flipped = true; data[1] ^= 4; } send(head, data);',
    },
  ],
  [
    'one bit of one partial gradient flips on its way to one of two',
    'small',
    2,
    {
      step: 60,
      type: 'partial',
      spoil: 'if (!globalThis.flipped) { globalThis.flipped = true; data[1] ^= 4; } send(head, data);',
    },
  ],
  [
    'one worker of three sends a small partial gradient to one of them that is wrong',
    'small',
    3,
    { step: 60, type: 'partial', spoil: toOnePeer },
  ],
  [
    'one worker of three sends all others small partial gradients that are wrong',
    'small',
    3,
    { step: 60, type: 'partial', spoil: 'floats[0] += 0.01; send(head, data);' },
  ],
  [
    'one worker of three sends another of them wrong sums',
    'large',
    3,
    { step: 60, type: 'sum', spoil: toOnePeer },
  ],
  [
    'one worker of three, which owns a chunk, sends all others wrong sums of it',
    'large',
    3,
    { step: 60, type: 'sum', spoil: 'floats[0] += 0.01; send(head, data);' },
  ],
];

it.each(cases)(
  '%s: the states differ, and the weights are those of the quiet run',
  async (_what, size, count, how) => {
    runs += 1;
    const others = Array.from({ length: count - 1 }, () => honest);
    const [outcome, ...workers] = await run(size, `run-${runs}`, [spoiling(how), ...others]);
    expect(outcome!.stdout).toMatch(/the workers' states after step \d+ differ: all go back/);
    expect(outcome!.stdout).toMatch(/all workers agree on the state after step \d+, computed by each alone/);
    expect(doneEvent(outcome!)).toMatchObject({ steps, weightsSha256: expected[size] });
    for (const { exitCode } of [outcome!, ...workers]) expect(exitCode).toBe(0);
  },
);

it('a machine of three that computes wrongly is left out, and the weights are those of the quiet run', async () => {
  const [outcome] = await run('small', 'one-of-three', [broken, honest, honest]);
  expect(outcome!.stdout).toMatch(
    /worker \S+ is gone: computing up to step \d+ alone it comes to another state than most/,
  );
  expect(doneEvent(outcome!)).toMatchObject({ steps, weightsSha256: expected.small });
  expect(outcome!.exitCode).toBe(0);
});

it('of two machines one computes wrongly: the run fails, and goes on from where they agreed', async () => {
  const [outcome] = await run('small', 'one-of-two', [broken, honest]);
  expect(outcome!.exitCode).toBe(1);
  expect(outcome!.stderr).toMatch(/^error: workers \S+ and \S+ compute step \d+ differently, .*--resume/m);
  const [resumed] = await run('small', 'one-of-two', [honest, honest], '--resume');
  expect(doneEvent(resumed!)).toMatchObject({ steps, weightsSha256: expected.small });
});
