// Every byte of a small checkpoint and of its .json flipped, both cut at every length: the newest good checkpoint is loaded
// and the bad one is named.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/state.ts';
import { newestCheckpoint, writeCheckpoint } from '../../src/checkpoint/store.ts';
import { sampleFitted } from '../support/fitted.ts';

const run = mkdtempSync(join(tmpdir(), 'lockstep-damage-'));
afterAll(() => rmSync(run, { recursive: true }));

const small = (step: number): Checkpoint => ({
  step,
  seed: 7,
  config: { name: 'net' },
  fingerprint: 'f'.repeat(64),
  datasetSha256: 'd'.repeat(64),
  trainSha256: 'e'.repeat(64),
  fitted: sampleFitted,
  parameters: [{ name: 'w', shape: [3], data: Float32Array.of(step, 2, -0) }],
  statistics: [{ name: 'm', shape: [1], data: Float32Array.of(5) }],
  slots: [[{ name: 'w', shape: [3], data: Float32Array.of(1, 2, 3) }]],
  metrics: { loss: 0.5 },
  previousSha256: null,
});

/** With `bytes` in place of the file: the damage is named and the one before is loaded. */
async function isNamed(path: string, bytes: Uint8Array, expected: Checkpoint): Promise<boolean> {
  writeFileSync(path, bytes);
  const found = await newestCheckpoint(run);
  expect(found?.checkpoint.step).toBe(1);
  expect(found?.checkpoint).toEqual(expected);
  return found?.skipped.length === 1 && found.skipped[0]!.includes('step-000002');
}

it.each(['safetensors', 'json'])('of a .%s', async (kind) => {
  const expected = small(1);
  await writeCheckpoint(run, expected);
  const path = (await writeCheckpoint(run, small(2))).replace(/safetensors$/, kind);
  const good = readFileSync(path);
  let points = 0;
  for (let at = 0; at < good.length; at++) {
    const flipped = Uint8Array.from(good);
    flipped[at]! ^= 1 << (at % 8);
    expect(await isNamed(path, flipped, expected), `byte ${at} flipped`).toBe(true);
    expect(await isNamed(path, good.subarray(0, at), expected), `cut to ${at} bytes`).toBe(true);
    points += 2;
  }
  writeFileSync(path, good);
  expect((await newestCheckpoint(run))?.checkpoint.step).toBe(2);
  console.info(`.${kind}: ${points} of ${points} damages`);
});
