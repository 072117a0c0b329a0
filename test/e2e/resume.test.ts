// Stop at any step and go on with another cluster: the weights are those of the run that never stopped.

import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { doneEvent, lockstep, type RunSettings, temporaryDirectory } from './command-line.ts';

const config = {
  name: 'resume',
  data: { kind: 'digits', train: 400, test: 80, seed: 2 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 8, kernel: 3, stride: 2, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  metrics: ['accuracy'],
  optimizer: { type: 'adam', learningRate: { type: 'cosine', peak: 0.003, warmup: 4, total: 70 } },
  batch: 30,
  epochs: 5,
  seed: 3,
};
const steps = 70;

/** It ends when it is told to, however slow or fast the machine is. */
const endless = {
  ...config,
  name: 'endless',
  optimizer: { type: 'adam', learningRate: 0.001 },
  epochs: 100_000,
  checkpoint: { everyEpochs: 100_000 },
  evaluate: { everyEpochs: 100_000 },
};

const directory = temporaryDirectory();
let expected = '';

const train = (
  name: 'resume' | 'endless',
  out: string,
  args: readonly string[],
  settings: Partial<RunSettings> = {},
) =>
  lockstep(['train', `${name}.json`, '--out', join(directory.path, out), '--json', ...args], {
    cwd: directory.path,
    ...settings,
  });

beforeAll(async () => {
  for (const run of [config, endless])
    writeFileSync(join(directory.path, `${run.name}.json`), JSON.stringify(run));
  expected = doneEvent(await train('resume', 'whole', ['--workers', '0', '--threads', '1'])).weightsSha256;
});
afterAll(() => directory.remove());

it.each([
  { stop: 1, before: 0, after: 2 },
  { stop: 14, before: 2, after: 3 },
  { stop: 37, before: 3, after: 1 },
  { stop: 69, before: 2, after: 0 },
])('stops after step $stop of $before workers, goes on with $after', async ({ stop, before, after }) => {
  const out = `stop-${stop}`;
  const first = doneEvent(
    await train('resume', out, ['--workers', `${before}`, '--threads', '1', '--stop-after', `${stop}`]),
  );
  expect(first).toMatchObject({ steps: stop, stopped: true });
  const second = doneEvent(
    await train('resume', out, ['--workers', `${after}`, '--threads', '2', '--resume']),
  );
  expect(second).toMatchObject({ steps, stopped: false, weightsSha256: expected });
});

it('a run that is finished gives its result again, without workers', async () => {
  const again = await train('resume', 'whole', ['--workers', '2', '--resume']);
  expect(again.exitCode).toBe(0);
  expect(again.stdout).toContain('the run is finished already: all 70 steps are taken');
  const done = doneEvent(again);
  expect(done).toMatchObject({ steps, stopped: false, weightsSha256: expected });
  expect(existsSync(done.checkpoint!)).toBe(true);
  expect(Object.keys(done.metrics)).toEqual(['loss', 'accuracy']);
  const args = ['coordinator', 'resume.json', '--out', join(directory.path, 'whole'), '--resume', '--json'];
  expect(doneEvent(await lockstep(args, { cwd: directory.path }))).toEqual(done);
});

it('a run whose checkpoints were lost is not trained over', async () => {
  const lost = join(directory.path, 'lost');
  cpSync(join(directory.path, 'stop-14'), lost, { recursive: true });
  const checkpoints = join(lost, 'checkpoints');
  for (const name of readdirSync(checkpoints)) if (name.endsWith('.json')) rmSync(join(checkpoints, name));
  // As if it had been killed before its end.
  const journal = readFileSync(join(lost, 'journal.ndjson'), 'utf8');
  writeFileSync(join(lost, 'journal.ndjson'), journal.replace(/^\{"ended":.*\n/gm, ''));
  const { exitCode, stderr } = await train('resume', 'lost', ['--resume']);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^error: .*lost: its journal says that the run had a finished checkpoint, but there is none: .*no \.json lies beside it.*; bring back/,
  );
});

it.each([0, 2])('stops on one SIGINT with a checkpoint (%s workers) and goes on', async (workers) => {
  const cluster = ['--workers', `${workers}`, '--threads', '1'];
  const other = ['--workers', `${2 - workers}`, '--threads', '2'];
  let sent = false;
  const first = await train('endless', `interrupted-${workers}`, cluster, {
    onOutput: (text, kill) => {
      if (sent || !text.includes('"event":"step"')) return;
      sent = true;
      kill('SIGINT');
    },
  });
  const stopped = doneEvent(first);
  expect(first.exitCode).toBe(130);
  expect(stopped.stopped).toBe(true);
  expect(stopped.steps).toBeGreaterThan(0);
  expect(existsSync(stopped.checkpoint!)).toBe(true);

  const twin = await train('endless', `twin-${workers}`, [...other, '--stop-after', `${stopped.steps}`]);
  expect(doneEvent(twin).weightsSha256).toBe(stopped.weightsSha256);
  const end = ['--resume', '--stop-after', `${stopped.steps + 5}`];
  const [goneOn, twinGoneOn] = [
    doneEvent(await train('endless', `interrupted-${workers}`, [...other, ...end])),
    doneEvent(await train('endless', `twin-${workers}`, [...cluster, ...end])),
  ];
  expect(goneOn.steps).toBe(stopped.steps + 5);
  expect(goneOn.weightsSha256).toBe(twinGoneOn.weightsSha256);
  expect(goneOn.weightsSha256).not.toBe(stopped.weightsSha256);
});
