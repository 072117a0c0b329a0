// A file system that is full: the run ends with one line that names file and cause, and what was good stays.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newestCheckpoint } from '../../src/checkpoint/store.ts';
import { freePort, lockstep, type Outcome, temporaryDirectory } from '../e2e/command-line.ts';

const directory = temporaryDirectory();
const disk = join(directory.path, 'disk');
const filler = join(disk, 'filler');
const kibibyte = 1024;
/** A checkpoint of this model has 600. */
const diskKibibytes = 2000;

/** Why nothing can be mounted here, or null. */
function mounted(): string | null {
  if (process.platform !== 'linux') return `${process.platform} has no tmpfs`;
  if (process.getuid?.() !== 0) return 'only root may mount a tmpfs';
  mkdirSync(disk);
  const options = ['-t', 'tmpfs', '-o', `size=${diskKibibytes}k`, 'tmpfs', disk];
  const { status, stderr, error } = spawnSync('mount', options, { encoding: 'utf8' });
  return status === 0 ? null : `cannot mount a tmpfs: ${error?.message ?? stderr.trim()}`;
}

const why = mounted();
afterAll(() => {
  if (why === null) execFileSync('umount', [disk]);
  directory.remove();
});

const config = {
  data: { kind: 'digits', train: 64, test: 16, seed: 1 },
  model: {
    input: [28, 28, 1],
    layers: [{ type: 'flatten' }, { type: 'dense', units: 64 }, { type: 'dense', units: 10 }],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam' },
  batch: 32,
  epochs: 6,
};
beforeAll(() => writeFileSync(join(directory.path, 'net.json'), JSON.stringify(config)));

function train(out: string, workers: number, more: readonly string[] = []): Promise<Outcome> {
  const cluster = ['--workers', String(workers), '--threads', '1'];
  return lockstep(['train', 'net.json', '--out', out, ...cluster, ...more], { cwd: directory.path });
}

afterEach(() => rmSync(filler, { force: true }));

/** Leaves `bytes` of the disk free. */
function fillUp(bytes: number): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(filler, new Uint8Array(bavail * bsize - bytes));
}

function expectOneLine({ exitCode, stderr }: Outcome, file: RegExp): void {
  expect(exitCode, stderr).toBe(1);
  const lines = stderr.split('\n').filter((line) => line.startsWith('error: '));
  expect(lines, stderr).toHaveLength(1);
  expect(lines[0]).toMatch(file);
  expect(lines[0]).toMatch(/: cannot be written: ENOSPC, no space is left; /);
  expect(stderr).not.toMatch(/internal error|\n\s+at /);
}

describe.skipIf(why !== null)(`a full disk${why === null ? '' : ` (skipped: ${why})`}`, () => {
  it.each([0, 2])('a checkpoint does not fit (%s workers)', async (workers) => {
    const out = join(disk, `run-${workers}`);
    expect((await train(out, workers, ['--stop-after', '2'])).exitCode).toBe(0);
    fillUp(300 * kibibyte);
    const outcome = await train(out, workers, ['--resume']);
    expectOneLine(outcome, new RegExp(`${out}/checkpoints/step-\\d+\\.safetensors`));
    const found = await newestCheckpoint(out);
    expect(found?.skipped).toEqual([]);
    expect(readdirSync(join(out, 'checkpoints')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(found?.checkpoint.step).toBe(2);
    rmSync(filler);
    const goneOn = await train(out, workers, ['--resume', '--stop-after', '3']);
    expect(goneOn.exitCode, goneOn.stderr).toBe(0);
    rmSync(out, { recursive: true });
  });

  it('workers of another process are told when the last checkpoint does not fit', async () => {
    const out = join(disk, 'told');
    const port = await freePort();
    const settings = { cwd: directory.path, env: { LOCKSTEP_TOKEN: 'c0ffee00'.repeat(8) } };
    expect((await train(out, 0, ['--stop-after', '2'])).exitCode).toBe(0);
    fillUp(300 * kibibyte);
    const listen = ['--listen', `127.0.0.1:${port}`, '--out', out, '--resume'];
    const [coordinator, worker] = await Promise.all([
      lockstep(['coordinator', 'net.json', ...listen], settings),
      lockstep(['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1'], settings),
    ]);
    expectOneLine(coordinator, new RegExp(`${out}/checkpoints/step-\\d+\\.safetensors`));
    expectOneLine(worker, new RegExp(`${out}/checkpoints/step-\\d+\\.safetensors`));
    rmSync(out, { recursive: true });
  });

  it('not even the journal fits', async () => {
    const out = join(disk, 'journal');
    mkdirSync(out);
    fillUp(0);
    expectOneLine(await train(out, 0), new RegExp(`${out}/journal.ndjson`));
    expect(existsSync(join(out, 'coordinator.lock'))).toBe(false);
  });
});
