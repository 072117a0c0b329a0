// A worker among honest ones that sends bad numbers, wrong shapes, wrong steps, the shards of others and what it sent before:
// both others accuse it, it is named and left out, its shards are computed elsewhere, and the weights are those of a quiet run, by
// bytes.

import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Token } from '../../proto/transport/token.ts';
import { doneEvent, lockstep, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';
import { hostileWorker, type Spoiling } from './hostile-worker.ts';

const config = {
  name: 'bad-gradients',
  data: { kind: 'digits', train: 640, test: 32 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 4, kernel: 3, stride: 2, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  // No clipping: the norm of a gradient is looked at all the same.
  optimizer: { type: 'momentum', learningRate: 0.02 },
  batch: 32,
  steps: 60,
};
const token = Token.generate();
const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: token.reveal() };
let expected = '';
let runs = 0;
let children: ChildProcess[] = [];

beforeAll(async () => {
  writeFileSync(join(cwd, 'run.json'), JSON.stringify(config));
  const args = ['train', 'run.json', '--workers', '0', '--out', 'quiet', '--json'];
  expected = doneEvent(await lockstep(args, { cwd })).weightsSha256;
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

const step = 20;
const cases: readonly (readonly [string, Spoiling, RegExp])[] = [
  [
    'NaN in a partial gradient',
    { step, type: 'partial', spoil: 'floats[floats.length - 1] = NaN; send(head, data);' },
    /a wrong message: partial of step \d+ with numbers that are not finite/,
  ],
  [
    'an infinity in a partial gradient',
    { step, type: 'partial', spoil: 'floats[0] = -Infinity; send(head, data);' },
    /a wrong message: partial of step \d+ with numbers that are not finite/,
  ],
  [
    'NaN in batch statistics',
    { step, type: 'exchange', spoil: 'floats[0] = NaN; send(head, data);' },
    /a wrong message: exchange of step \d+ with numbers that are not finite/,
  ],
  [
    'NaN for its losses',
    { step, type: 'shardReport', spoil: 'floats[0] = NaN; send(head, data);' },
    /a wrong message: shardReport of step \d+ with numbers that are not finite/,
  ],
  [
    'a wrong shape',
    { step, type: 'partial', spoil: 'send(head, data.subarray(4));' },
    /a wrong message: a partial of \d+ bytes where \d+ belong/,
  ],
  [
    'a wrong step',
    { step, type: 'partial', spoil: 'send({ ...head, step: head.step + 9 }, data);' },
    /a wrong message: a message of step \d+ while step \d+ is in flight/,
  ],
  [
    'what it sent before',
    {
      step,
      type: 'shardReport',
      spoil: 'send(head, data); send({ ...head, step: head.step - 9 }, data);',
    },
    /a wrong message: a message of step \d+ once more, while step \d+ is over/,
  ],
  [
    'the shards of another',
    { step, type: 'partial', spoil: 'send({ ...head, offset: head.offset + 16 }, data);' },
    /a wrong message: a partial at offset \d+/,
  ],
  [
    'two unlike results for one key',
    { step, type: 'exchange', spoil: 'send(head, data); floats[0] += 1; send(head, data.slice());' },
    /a wrong message: two unlike parts of rank \d+ in swap \d+ of step \d+/,
  ],
];

it.each(cases)('%s: named, kept out, computed elsewhere', async (_what, spoiling, told) => {
  runs += 1;
  const coordinator = await startCoordinatorProcess(['run.json', '--workers', '3', '--out', `run-${runs}`], {
    cwd,
    env,
    onSpawn: (child) => children.push(child),
  });
  const args = ['--join', coordinator.url, '--threads', '1'];
  const honest = [1, 2].map(() => lockstep(['worker', ...args], { cwd, env }));
  const hostile = await hostileWorker(coordinator.url, { cwd, env }, spoiling);
  const outcome = await coordinator.ended;
  expect(hostile.stderr).toMatch(/^error: worker \S+ is kept out of this run: worker \S+ got from it /m);
  expect(hostile.stderr).toMatch(told);
  expect(hostile.exitCode).toBe(1);
  const name = /error: worker (\S+) is kept out/.exec(hostile.stderr)![1];
  expect(outcome.stdout).toContain(`worker ${name} is gone: worker `);
  for (const { exitCode } of await Promise.all(honest)) expect(exitCode).toBe(0);
  expect(doneEvent(outcome)).toMatchObject({ steps: config.steps, weightsSha256: expected });
});
