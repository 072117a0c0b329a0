// Kills and faults at every system call that saves a checkpoint: whatever was acknowledged is there, nothing half-written
// is taken, the next save works. LOCKSTEP_DURABILITY=all takes every fault of every case; else faults are sampled.

import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/state.ts';
import { newestCheckpoint, readCheckpoint, writeCheckpoint } from '../../src/checkpoint/store.ts';
import { sampleCheckpoint } from './sample-checkpoint.mjs';
import { type Call, type Injection, pointsOf, type Traced, traced, whyNoInjection } from './strace.ts';

const program = fileURLToPath(new URL('save-checkpoints.mjs', import.meta.url));
const why = whyNoInjection();
const takesAll = process.env.LOCKSTEP_DURABILITY === 'all';

interface Case {
  readonly name: string;
  /** Steps saved before, as letter a. */
  readonly before: readonly number[];
  /** Saved while something goes wrong, as letter b. */
  readonly step: number;
}

const cases: readonly Case[] = [
  { name: 'the first checkpoint of a run', before: [], step: 1 },
  { name: 'the fourth, which takes the place of the first', before: [1, 2, 3], step: 4 },
  { name: 'one in place of another of its step', before: [1, 2, 3], step: 3 },
];

const root = mkdtempSync(join(tmpdir(), 'lockstep-durability-'));
const run = join(root, 'run');
const place = join(run, 'checkpoints');
const fileOf = (step: number, extension: string): string =>
  join(place, `step-${String(step).padStart(6, '0')}.${extension}`);
const watched = (steps: readonly number[]): string[] => [
  run,
  place,
  ...steps.flatMap((step) =>
    ['safetensors', 'json'].flatMap((kind) => [fileOf(step, kind), `${fileOf(step, kind)}.tmp`]),
  ),
];

beforeAll(async () => {
  for (const step of [1, 2, 3]) await writeCheckpoint(join(root, 'three'), sampleCheckpoint(step, 'a'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** Saves as the case says, with the fault, and then a step more in the same process. */
function save({ before, step }: Case, injection: Injection | null): Promise<Traced> {
  rmSync(run, { recursive: true, force: true });
  if (before.length > 0) cpSync(join(root, 'three'), run, { recursive: true });
  const more = injection === null ? [] : [String(step + 1)];
  return traced(
    [program, run, 'b', String(step), ...more],
    watched([...new Set([...before, step])]),
    injection,
  );
}

/** The comparison of a test runner takes a second for these. */
function floatsOf({ parameters }: Checkpoint): Buffer {
  const { buffer, byteOffset, byteLength } = parameters[0]!.data;
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** What must hold whatever happened; gives the newest step. */
async function check({ before, step }: Case, acknowledged: readonly number[]): Promise<number> {
  const found = await newestCheckpoint(run);
  const newest = found?.checkpoint.step ?? 0;
  expect(newest).toBeGreaterThanOrEqual(Math.max(0, ...before, ...acknowledged));
  if (found !== null) {
    const letter = (found.checkpoint.config as { letter: string }).letter;
    if (acknowledged.includes(newest)) expect(letter).toBe('b');
    expect(floatsOf(found.checkpoint).equals(floatsOf(sampleCheckpoint(newest, letter)))).toBe(true);
  }
  for (const old of before.filter((each) => each !== step && each > step + acknowledged.length - 3)) {
    const { config } = await readCheckpoint(fileOf(old, 'safetensors'));
    expect(config).toEqual({ letter: 'a' });
  }
  return newest;
}

async function checkNextSave(newest: number): Promise<void> {
  await writeCheckpoint(run, sampleCheckpoint(newest + 1, 'c'));
  const after = await newestCheckpoint(run);
  expect(after?.checkpoint.step).toBe(newest + 1);
  expect(after?.skipped).toEqual([]);
  const names = readdirSync(place);
  expect(names.filter((name) => !/^step-\d+\.(json|safetensors)$/.test(name))).toEqual([]);
  expect(names.filter((name) => name.endsWith('.json'))).toHaveLength(names.length / 2);
}

async function killed(each: Case, point: Injection): Promise<void> {
  const { lines, signal } = await save(each, point);
  expect(signal).toBe('SIGKILL');
  expect(lines).toEqual([]);
  await checkNextSave(await check(each, []));
}

/** Calls whose failure may be passed over: no promise hangs on them. */
const harmless = new Set(['mkdir', 'read', 'getdents64', 'openat', 'close']);

async function failed(each: Case, point: Injection): Promise<void> {
  const { lines, signal, calls } = await save(each, point);
  expect(signal).toBeNull();
  expect(calls.filter((call) => call.failed && call.name === point.name)).not.toEqual([]);
  const [first, second] = lines as [Record<string, unknown>, Record<string, unknown>];
  if (!('saved' in first && harmless.has(point.name))) {
    expect(first).toMatchObject({ failed: each.step, code: 'LOCKSTEP_FILE_SYSTEM' });
    // Node hides why a directory could not be made, and says that it is not there.
    const cause = point.name === 'mkdir' ? `(${point.how}|ENOENT)` : point.how;
    expect(first.message).toMatch(new RegExp(`^${run}.*: cannot be \\w+: ${cause}`));
  }
  expect(second).toEqual({ saved: each.step + 1 });
  const acknowledged = lines.flatMap((line) => (typeof line.saved === 'number' ? [line.saved] : []));
  const newest = await check(each, acknowledged);
  expect(newest).toBe(each.step + 1);
  await checkNextSave(newest);
}

const order = (calls: readonly Call[]): string[] =>
  calls
    .filter(({ name }) => ['write', 'writev', 'fsync', 'rename', 'unlink'].includes(name))
    .map(({ name, file }) => `${name} ${file}`)
    .filter((text, i, all) => text !== all[i - 1]);

describe.skipIf(why !== null)(`a checkpoint being saved${why === null ? '' : ` (skipped: ${why})`}`, () => {
  it('is on the disk before it is named, and named before an older one goes', async () => {
    const { calls, lines } = await save(cases[1]!, null);
    expect(lines).toEqual([{ saved: 4 }]);
    expect(order(calls)).toEqual([
      'writev step-000004.safetensors.tmp',
      'fsync step-000004.safetensors.tmp',
      'rename step-000004.safetensors',
      'fsync checkpoints',
      'write step-000004.json.tmp',
      'fsync step-000004.json.tmp',
      'rename step-000004.json',
      'fsync checkpoints',
      'unlink step-000001.json',
      'unlink step-000001.safetensors',
    ]);
  });

  it.each(cases)('$name: SIGKILL, EIO, ENOSPC at every call', async (each) => {
    const { calls } = await save(each, null);
    let passed = 0;
    for (const how of ['SIGKILL', 'EIO', 'ENOSPC'] as const) {
      const every = how === 'SIGKILL' || takesAll ? 1 : 3;
      for (const point of pointsOf(calls, how).filter((_, i) => i % every === 0)) {
        try {
          await (how === 'SIGKILL' ? killed(each, point) : failed(each, point));
        } catch (error) {
          throw new Error(`${how} at ${point.name} ${point.at}: ${String(error)}`, { cause: error });
        }
        passed++;
      }
    }
    expect(passed).toBeGreaterThan(25);
    console.info(`${each.name}: ${passed} of ${passed} points`);
  });
});
