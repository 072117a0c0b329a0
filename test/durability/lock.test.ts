// The lock of a coordinator that is gone is taken over by one, however many try, and however slow one of them is.

import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { whyNoInjection } from './strace.ts';

const program = fileURLToPath(new URL('hold-journal.mjs', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'lockstep-lock-'));
const run = join(root, 'run');
const lock = join(run, 'coordinator.lock');
const why = whyNoInjection();
afterAll(() => rmSync(root, { recursive: true }));

/** Of a process that has ended. */
const deadPid = spawnSync(process.execPath, ['-e', '']).pid;

beforeEach(() => {
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run);
  writeFileSync(lock, `${deadPid}\n`);
});

interface Taker {
  /** 'held', or the code of the error. */
  readonly told: Promise<string>;
  /** It says on stderr that it has read something: under strace. */
  readonly hasRead: Promise<void>;
  /** Lets it go, if it holds it. */
  end(): Promise<void>;
}

function taker(before: readonly string[] = []): Taker {
  const [command, ...args] = [...before, process.execPath, program, run];
  const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const told = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
  });
  const hasRead = new Promise<void>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('read(')) resolve();
    });
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    told,
    hasRead,
    end: () => {
      child.stdin.end();
      return ended;
    },
  };
}

async function expectOneHolds(takers: readonly Taker[]): Promise<void> {
  const told = await Promise.all(takers.map((each) => each.told));
  expect([...told].sort()).toEqual([
    ...Array.from({ length: takers.length - 1 }, () => 'LOCKSTEP_RUN_IN_USE'),
    'held',
  ]);
  expect(existsSync(lock)).toBe(true);
  expect(Number.parseInt(readFileSync(lock, 'utf8'), 10)).not.toBe(deadPid);
  await Promise.all(takers.map((each) => each.end()));
  // The journal too goes where no run was begun in it.
  expect(readdirSync(run)).toEqual([]);
}

it('one of six at once', async () => {
  await expectOneHolds(Array.from({ length: 6 }, () => taker()));
}, 60_000);

it('what a kill has left behind is no obstacle', async () => {
  writeFileSync(`${lock}.taking`, `${deadPid}\n`);
  writeFileSync(lock, '');
  await expectOneHolds([taker()]);
});

describe.skipIf(why !== null)(`a slow one${why === null ? '' : ` (skipped: ${why})`}`, () => {
  it('does not take away the lock of a quick one', async () => {
    // It has read the lock of the dead one, and sleeps before it takes it away.
    const delay = ['-e', 'trace=read,unlink', '-e', 'inject=unlink:delay_enter=1500000:when=1'];
    const slow = taker(['strace', '-f', '-qq', '-P', lock, ...delay]);
    await slow.hasRead;
    await expectOneHolds([slow, taker()]);
  });
});
