// Kills and faults at every system call of the journal, torn lines and lines of nonsense: what was acknowledged is known
// afterwards, and the journal goes on.

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { hasMembership, Journal } from '../../coordinator/journal.ts';
import { sampleIdentity, sampleNumerics } from './sample-run.mjs';
import { type Injection, pointsOf, type Traced, traced, whyNoInjection } from './strace.ts';

const program = fileURLToPath(new URL('keep-journal.mjs', import.meta.url));
const why = whyNoInjection();
const root = mkdtempSync(join(tmpdir(), 'lockstep-journal-'));
const run = join(root, 'run');
const file = join(run, 'journal.ndjson');

beforeEach(() => rmSync(run, { recursive: true, force: true }));
afterAll(() => rmSync(root, { recursive: true }));

/** A journal's newest generation and its run; it notes `next` before it is closed. */
function reopened(next?: number): { readonly runId: string; readonly generation: number } {
  const journal = Journal.open(run);
  journal.begin(sampleIdentity);
  if (next !== undefined) journal.formed(next, ['w'], null);
  journal.close();
  return { runId: journal.runId, generation: journal.generation };
}

describe('lines', () => {
  it('cut at every byte: all whole ones count, and the next one is not lost', () => {
    const { runId } = reopened(1);
    reopened(2);
    const whole = readFileSync(file);
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(file, whole.subarray(0, length));
      const lines = whole
        .subarray(0, length + 1)
        .toString()
        .split('\n')
        .slice(0, -1);
      expect(hasMembership(run)).toBe(lines.length > 1);
      // A line is whole without its end as well.
      const cut = reopened(9);
      expect(cut.generation).toBe(Math.max(0, lines.length - 1));
      if (lines.length > 0) expect(cut.runId).toBe(runId);
      expect(reopened()).toEqual({ runId: cut.runId, generation: 9 });
    }
  });

  it.each([
    'null',
    '7',
    '"text"',
    '[]',
    '{',
    '\0\0\0',
    '{"generation":"9"}',
    '{"generation":1e300}',
    '{"generation":9007199254740991,"workerIds":["a"]}',
    '{"runId":1}',
    '{"config":{"batch":1},"datasetSha256":"d","fittedSha256":"e"}',
    '{"numerics":{"fingerprint":"f"}}',
  ])('of nonsense say nothing: %j', (line) => {
    mkdirSync(run);
    writeFileSync(file, `${line}\n`);
    const { runId, generation } = reopened(3);
    expect(generation).toBe(0);
    appendFileSync(file, `${line}\n`);
    expect(reopened()).toEqual({ runId, generation: 3 });
  });
});

describe('what a coordinator that comes after knows', () => {
  it('which run it is, the members of the newest generation, and up to where that computes again', () => {
    const journal = Journal.open(run);
    journal.begin(sampleIdentity);
    journal.formed(1, ['a', 'b'], sampleNumerics);
    journal.formed(2, ['b', 'd'], null, 12);
    journal.ended(7);
    journal.close();
    const after = Journal.open(run);
    expect(after.endedStep).toBe(7);
    expect(after.replayTo).toBe(12);
    after.formed(3, ['b', 'd'], null);
    after.close();
    const third = Journal.open(run);
    third.close();
    expect(third.endedStep).toBe(null);
    expect(after.members).toEqual(['b', 'd']);
    expect(after.identity).toEqual(sampleIdentity);
    expect(after.numerics).toEqual(sampleNumerics);
    expect(third.replayTo).toBe(null);
  });

  it('of one that was opened alone: nothing, for it goes again', () => {
    Journal.open(run).close();
    expect(existsSync(file)).toBe(false);
    mkdirSync(run, { recursive: true });
    writeFileSync(file, '{"nonsense":1}\n');
    Journal.open(run).close();
    expect(existsSync(file)).toBe(true);
  });

  it('of a journal without these lines: that there is nobody', () => {
    mkdirSync(run);
    writeFileSync(
      file,
      '{"runId":"r"}\n{"generation":3,"workerIds":[7]}\n{"generation":2,"workerIds":["a"]}\n',
    );
    const { runId, generation, members, replayTo, identity, numerics } = Journal.open(run);
    expect({ runId, generation, members, replayTo, identity, numerics }).toEqual({
      runId: 'r',
      generation: 3,
      identity: null,
      numerics: null,
      members: [],
      replayTo: null,
    });
  });
});

describe('what is taken away while it is kept', () => {
  const away = join(root, 'elsewhere');
  const folder = join(run, 'checkpoints');
  const another = (): void => {
    renameSync(run, away);
    reopened(1);
  };
  it.each([
    ['journal', () => rmSync(file), 'journal.ndjson is gone'],
    ['directory', () => renameSync(run, away), 'journal.ndjson is gone'],
    ['directory, for another', another, 'journal.ndjson is another file'],
    ['lock', () => rmSync(join(run, 'coordinator.lock')), 'coordinator.lock is gone, or that of another'],
    [
      'lock, by another',
      () => writeFileSync(join(run, 'coordinator.lock'), '1\n'),
      'coordinator.lock is gone, or that of another',
    ],
    ['folder of checkpoints', () => rmSync(folder, { recursive: true }), `${folder} is gone`],
  ])('the %s: nothing is noted any more, and no lock of another is taken away', (which, takeAway, what) => {
    rmSync(away, { recursive: true, force: true });
    const journal = Journal.open(run);
    mkdirSync(folder);
    journal.keepsIn(folder);
    journal.begin(sampleIdentity);
    journal.formed(1, ['a'], null);
    takeAway();
    const says = `${run}: was deleted, moved or replaced while the run went on (${what})`;
    expect(() => journal.formed(2, ['a'], null)).toThrow(says);
    expect(() => journal.check()).toThrow(says);
    journal.close();
    expect(existsSync(join(run, 'coordinator.lock'))).toBe(which === 'lock, by another');
  });
});

const files = [run, file, join(run, 'coordinator.lock')];

/** Keeps a journal that has generation 4 while something goes wrong. */
async function keep(injection: Injection | null): Promise<Traced & { readonly runId: string }> {
  rmSync(run, { recursive: true, force: true });
  const { runId } = reopened(4);
  return { ...(await traced([program, run], files, injection)), runId };
}

/** Begins one, from nothing. */
async function begin(injection: Injection | null): Promise<Traced> {
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run);
  return await traced([program, run], files, injection);
}

function expectNamed({ lines, signal }: Traced, { how }: Injection): void {
  expect(signal).toBe(how === 'SIGKILL' ? 'SIGKILL' : null);
  const failure = lines.find((line) => 'code' in line);
  if (failure === undefined) return;
  expect(failure.code).toBe('LOCKSTEP_FILE_SYSTEM');
  expect(failure.message).toContain(how);
}

const formedIn = ({ lines }: Traced): number[] =>
  lines.flatMap((line) => (typeof line.formed === 'number' ? [line.formed] : []));

async function check(point: Injection): Promise<void> {
  const kept = await keep(point);
  expectNamed(kept, point);
  const after = reopened(20);
  expect(after.runId).toBe(kept.runId);
  // One more may have reached the disk than anybody was told.
  const newest = Math.max(4, ...formedIn(kept));
  expect([newest, newest + 1]).toContain(after.generation);
  expect(reopened().generation).toBe(20);
}

async function checkBegun(point: Injection): Promise<void> {
  const begun = await begin(point);
  expectNamed(begun, point);
  const told = begun.lines.find((line) => typeof line.runId === 'string');
  const after = Journal.open(run);
  after.close();
  // Who it is of is known before anything else, and whose kernels it has with the first membership.
  if (told !== undefined) expect(after).toMatchObject({ runId: told.runId, identity: sampleIdentity });
  if (after.generation > 0)
    expect(after).toMatchObject({ identity: sampleIdentity, numerics: sampleNumerics });
  expect(after.generation).toBeGreaterThanOrEqual(Math.max(0, ...formedIn(begun)));
  expect(reopened(20).generation).toBe(after.generation);
  expect(reopened().generation).toBe(20);
}

describe.skipIf(why !== null)(`a journal being kept${why === null ? '' : ` (skipped: ${why})`}`, () => {
  it.each([
    ['that is gone on with', keep, check, ['SIGKILL', 'EIO', 'ENOSPC']],
    ['that is new', begin, checkBegun, ['SIGKILL', 'ENOSPC']],
  ] as const)('%s: each fault at every call', async (which, undisturbed, checked, faults) => {
    const { calls } = await undisturbed(null);
    let passed = 0;
    for (const how of faults) {
      for (const point of pointsOf(calls, how)) {
        try {
          await checked(point);
        } catch (error) {
          throw new Error(`${how} at ${point.name} ${point.at}: ${String(error)}`, { cause: error });
        }
        passed++;
      }
    }
    expect(passed).toBeGreaterThan(30);
    console.info(`the journal ${which}: ${passed} of ${passed} points`);
  });
});
