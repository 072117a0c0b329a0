// Checkpoints on disk: the newest that verifies is loaded, bad ones are named, old ones go, failures leave what was there.

import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../../../src/checkpoint/safetensors.ts';
import { type Checkpoint, checkpointOfTensors, tensorsOfCheckpoint } from '../../../src/checkpoint/state.ts';
import {
  newestCheckpoint,
  openCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from '../../../src/checkpoint/store.ts';
import { weightsSha256 } from '../../../src/checkpoint/weights-hash.ts';
import { sampleFitted } from '../../support/fitted.ts';

let run = '';
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'lockstep-run-'));
});
afterEach(() => rmSync(run, { recursive: true }));

const tensor = (name: string, ...values: number[]) => ({
  name,
  shape: [values.length],
  data: Float32Array.from(values),
});

function checkpointAt(step: number): Checkpoint {
  return {
    step,
    seed: 7,
    config: { name: 'net', batch: 4 },
    fingerprint: 'f'.repeat(64),
    datasetSha256: 'd'.repeat(64),
    trainSha256: 'e'.repeat(64),
    fitted: sampleFitted,
    parameters: [tensor('dense1.weight', step, 2, -0), tensor('dense1.bias', 0.1)],
    statistics: [tensor('norm1.runningMean', 5)],
    slots: [
      [tensor('dense1.weight', 1, 2, 3), tensor('dense1.bias', 4)],
      [tensor('dense1.weight', 5, 6, 7), tensor('dense1.bias', 8)],
    ],
    metrics: { loss: 0.5 },
    previousSha256: null,
  };
}

const files = () => readdirSync(join(run, 'checkpoints')).sort();
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

test('a checkpoint is read back as it was written', async () => {
  const path = await writeCheckpoint(run, checkpointAt(3));
  expect(path).toBe(join(run, 'checkpoints', 'step-000003.safetensors'));
  expect(await readCheckpoint(path)).toEqual(checkpointAt(3));
  expect(await newestCheckpoint(run)).toEqual({ checkpoint: checkpointAt(3), path, skipped: [] });
  expect(files()).toEqual(['step-000003.json', 'step-000003.safetensors']);
});

test('Python finds the weights under their own names, the optimizer under a prefix', async () => {
  const path = await writeCheckpoint(run, checkpointAt(3));
  const { tensors, metadata } = decodeSafetensors(readFileSync(path));
  expect(tensors.map(({ name }) => name)).toEqual([
    'dense1.weight',
    'dense1.bias',
    'norm1.runningMean',
    'optimizer.0.dense1.weight',
    'optimizer.0.dense1.bias',
    'optimizer.1.dense1.weight',
    'optimizer.1.dense1.bias',
  ]);
  expect(metadata).toMatchObject({ format: 'lockstep-checkpoint', version: '2', step: '3', seed: '7' });
});

test('each checkpoint names the hash of the one before, and the .json its own', async () => {
  const first = await writeCheckpoint(run, checkpointAt(1));
  const second = await writeCheckpoint(run, checkpointAt(2));
  expect((await readCheckpoint(second)).previousSha256).toBe(sha256(first));
  const { parameters, statistics } = checkpointAt(2);
  expect(JSON.parse(readFileSync(second.replace('safetensors', 'json'), 'utf8'))).toMatchObject({
    step: 2,
    sha256: sha256(second),
    previousSha256: sha256(first),
    weightsSha256: await weightsSha256(parameters, statistics),
  });
});

test('the last three stay, unless said otherwise; leftovers of a crash go', async () => {
  for (const step of [1, 2, 3, 4]) await writeCheckpoint(run, checkpointAt(step));
  expect(files().filter((name) => name.endsWith('.json'))).toEqual(
    [2, 3, 4].map((step) => `step-00000${step}.json`),
  );
  writeFileSync(join(run, 'checkpoints', 'step-000005.safetensors.tmp'), 'half');
  await writeCheckpoint(run, checkpointAt(6), { keep: 1 });
  expect(files()).toEqual(['step-000006.json', 'step-000006.safetensors']);
});

test('an old checkpoint that cannot be removed is named, and the new one is there', async () => {
  const stuck = join(run, 'checkpoints', 'step-000009.safetensors');
  mkdirSync(stuck, { recursive: true });
  await expect(writeCheckpoint(run, checkpointAt(1))).rejects.toMatchObject({
    code: 'LOCKSTEP_FILE_SYSTEM',
    message: expect.stringContaining(`${stuck}: cannot be removed: `),
  });
  expect(await readCheckpoint(join(run, 'checkpoints', 'step-000001.safetensors'))).toEqual(checkpointAt(1));
});

test('going on from an earlier step removes the later ones: their history was abandoned', async () => {
  for (const step of [10, 20, 30]) await writeCheckpoint(run, checkpointAt(step));
  await writeCheckpoint(run, checkpointAt(15));
  expect(files().filter((name) => name.endsWith('.json'))).toEqual(['step-000010.json', 'step-000015.json']);
});

test('bad checkpoints are named and skipped, down to the newest that verifies', async () => {
  const paths = [];
  for (const step of [1, 2, 3]) paths.push(await writeCheckpoint(run, checkpointAt(step), { keep: 9 }));
  const [good, flipped, cut] = paths as [string, string, string];
  const bytes = readFileSync(flipped);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(flipped, bytes);
  truncateSync(cut, 100);
  writeFileSync(join(run, 'checkpoints', 'step-000009.safetensors'), 'half');
  const found = await newestCheckpoint(run);
  expect(found?.path).toBe(good);
  expect(found?.skipped).toEqual([
    `${join(run, 'checkpoints', 'step-000009.safetensors')}: was never finished: no .json lies beside it`,
    expect.stringContaining(`${cut}: has 100 bytes, but `),
    expect.stringContaining(`${flipped}: has SHA-256 `),
  ]);
  rmSync(good);
  rmSync(good.replace('safetensors', 'json'));
  await expect(newestCheckpoint(run)).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_INVALID',
    message: expect.stringMatching(/^no good checkpoint is left: .*\(and 2 more\)$/),
  });
});

test('a checkpoint is opened by its file, its run or its folder', async () => {
  const path = await writeCheckpoint(run, checkpointAt(1));
  for (const name of [path, run, join(run, 'checkpoints')])
    expect((await openCheckpoint(name)).path).toBe(path);
});

test('what is not there, and what is no checkpoint', async () => {
  expect(await newestCheckpoint(run)).toBeNull();
  const code = 'LOCKSTEP_CHECKPOINT_NOT_FOUND';
  const missing = join(run, 'a.safetensors');
  await expect(openCheckpoint(missing)).rejects.toMatchObject({
    code,
    message: `${missing}: there is no such file`,
  });
  await expect(openCheckpoint(run)).rejects.toMatchObject({ code });
  writeFileSync(missing, Buffer.concat(encodeSafetensors({ tensors: [], metadata: {} })));
  await expect(openCheckpoint(missing)).rejects.toMatchObject({
    code: 'LOCKSTEP_CHECKPOINT_INVALID',
    message: `${missing}: a safetensors file, but not a checkpoint of this program`,
  });
});

test('a place that cannot be written is one clear line, and nothing is lost', async () => {
  const file = join(run, 'file');
  writeFileSync(file, 'mine');
  await expect(writeCheckpoint(file, checkpointAt(1))).rejects.toMatchObject({
    code: 'LOCKSTEP_FILE_SYSTEM',
    message: expect.stringMatching(/cannot be written: .*name another place with --out$/),
  });
  expect(readFileSync(file, 'utf8')).toBe('mine');
});

const changedFitted = (change: object) => ({ fitted: JSON.stringify({ ...sampleFitted, ...change }) });

test.each([
  [
    { version: '1' },
    'a checkpoint of format version 1, but this program reads version 2; it does not hold the scaling and the columns of its ' +
      'data: train again, or use the version of this program that wrote it',
  ],
  [
    { version: '3' },
    'a checkpoint of format version 3, but this program reads version 2; use the version of this program that wrote it, or a ' +
      'later one',
  ],
  [{ step: '-1' }, 'its metadata lacks a valid step'],
  [{ datasetSha256: 'other' }, 'its metadata lacks a valid datasetSha256'],
  [{ trainSha256: '' }, 'its metadata lacks a valid trainSha256'],
  [{ config: '{' }, 'its metadata lacks a valid config'],
  [{ fitted: '{' }, 'its metadata lacks a valid fitted'],
  [{ fitted: '{}' }, 'its metadata lacks a valid fitted: inputShape '],
  [changedFitted({ inputs: [{ method: 'log' }] }), 'its metadata lacks a valid fitted: inputs 0 method '],
  [changedFitted({ inputShape: [3] }), 'its scaling is for another number of channels'],
  [
    changedFitted({ inputs: [{ method: 'standard', means: [1, 2], deviations: [1] }] }),
    'its scaling is for another number of channels',
  ],
  [
    changedFitted({ inputs: [{ method: 'standard', means: [1, 2], deviations: [1, 0] }] }),
    'its metadata lacks a valid fitted: inputs 0 deviations 1 ',
  ],
  [changedFitted({ targetSize: 2 }), 'its columns do not fit its shapes'],
  [{ metrics: '{"a":"b"}' }, 'its metadata lacks a valid metrics'],
  [{ slots: '3' }, 'has 7 tensors, not the number that its metadata says'],
  [
    { parameters: '1', statistics: '2', slots: '4' },
    'tensor "optimizer.0.dense1.bias" is not slot 1 of "dense1.weight"',
  ],
])('metadata that lies: %j', (change, message) => {
  const file = tensorsOfCheckpoint(checkpointAt(1));
  expect(() => checkpointOfTensors({ ...file, metadata: { ...file.metadata, ...change } })).toThrow(message);
});

test('weightsSha256 is over the bytes of parameters, then statistics', async () => {
  const bytes = Buffer.from(Float32Array.of(1, 2, 3).buffer);
  const expected = createHash('sha256').update(bytes).digest('hex');
  expect(await weightsSha256([tensor('a', 1), tensor('b', 2)], [tensor('c', 3)])).toBe(expected);
});
