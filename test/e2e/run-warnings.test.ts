// What a run would do in silence is told before its first step: to people, in --json, and to a program that calls train().

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type ConfigInput, type RunEvent, train } from '../../index.ts';
import { lockstep, temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
const cwd = directory.path;
afterAll(() => directory.remove());

const config = (batch: number): ConfigInput => ({
  data: { kind: 'synthetic', train: 33, shape: [6], classes: 3 },
  model: {
    input: [6],
    layers: [
      { type: 'dense', units: 4 },
      { type: 'batchNorm', sync: 'shard' },
      { type: 'dense', units: 3 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: { type: 'cosine', peak: 0.1, total: 3 } },
  batch,
  epochs: 2,
});

const expected = [
  "warning: the learning rate's schedule ends at step 3 with 0, the run at step 6: the last 3 steps change no weights; " +
    'leave out or set optimizer.learningRate.total',
  'warning: batchNorm layer "batchNorm1" with sync "shard" normalises 1 sample of 1 position in every shard of ' +
    'the last step of each epoch (1 sample): its output is beta whatever its input, and no gradient passes; ' +
    'use a batch that leaves at least 16 samples for the last step, fewer shards, or sync "global"',
];
const warningsIn = (events: readonly RunEvent[]): string[] =>
  events.flatMap((event) =>
    event.event === 'notice' && event.message.startsWith('warning') ? [event.message] : [],
  );

it('comes out of train(), of --json and of stderr', async () => {
  const events: RunEvent[] = [];
  await train(config(16), { out: join(cwd, 'program'), onEvent: (event) => events.push(event) });
  expect(warningsIn(events)).toEqual(expected);

  writeFileSync(join(cwd, 'warned.json'), JSON.stringify(config(16)));
  for (const workers of ['0', '2']) {
    const json = await lockstep(
      ['train', 'warned.json', '--json', '--workers', workers, '--out', `json-${workers}`],
      { cwd },
    );
    const told = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RunEvent);
    expect(warningsIn(told)).toEqual(expected);
    const first = told.findIndex(({ event }) => event === 'step');
    expect(
      told.findLastIndex((event) => event.event === 'notice' && event.message.startsWith('warning')),
    ).toBeLessThan(first);
  }
  const plain = await lockstep(['train', 'warned.json', '--out', 'plain'], { cwd });
  expect(plain.stderr.split('\n').filter((line) => line.startsWith('warning'))).toEqual(expected);
});

it('ends the run where nothing can be learned, with one line and nothing left behind', async () => {
  writeFileSync(join(cwd, 'hopeless.json'), JSON.stringify({ ...config(8), optimizer: { type: 'sgd' } }));
  const { exitCode, stderr, stdout } = await lockstep(['train', 'hopeless.json', '--out', 'hopeless'], {
    cwd,
  });
  expect(stderr).toMatch(
    /^error: batchNorm layer "batchNorm1" .* nothing in front of it learns; use a batch of at least 16 samples/,
  );
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect([exitCode, stdout]).toEqual([2, '']);
});

it('a cosine without a length of its own goes on only with the length it was begun with', async () => {
  const spanning = { ...config(16), optimizer: { type: 'sgd', learningRate: { type: 'cosine', peak: 0.1 } } };
  writeFileSync(join(cwd, 'spanning.json'), JSON.stringify(spanning));
  const [whole, part] = [
    ['--out', 'whole'],
    ['--out', 'part', '--stop-after', '2'],
  ].map((extra) => lockstep(['train', 'spanning.json', '--json', ...extra], { cwd }));
  const hashOf = (stdout: string): string =>
    (JSON.parse(stdout.trim().split('\n').at(-1)!) as { weightsSha256: string }).weightsSha256;
  await part;
  const longer = await lockstep(['train', 'spanning.json', '--resume', '--out', 'part', '--epochs', '4'], {
    cwd,
  });
  expect(longer.exitCode).toBe(2);
  expect(longer.stderr).toContain('was made with epochs 2, but now it is 4; resume with the same config');
  const resumed = await lockstep(['train', 'spanning.json', '--resume', '--json', '--out', 'part'], { cwd });
  expect(hashOf(resumed.stdout)).toBe(hashOf((await whole!).stdout));
});
