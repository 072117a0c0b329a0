// Whose lock it is: of a process that runs, of one whose number was given again, of one that cannot be told.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from '../../../coordinator/lock.ts';
import { isRunning, markText, ownMark, parseMark } from '../../../coordinator/process-mark.ts';

const root = mkdtempSync(join(tmpdir(), 'lockstep-lock-'));
const lock = join(root, 'coordinator.lock');
const another: ChildProcess = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1_000)'], {
  stdio: 'ignore',
});
const why = process.platform === 'linux' ? null : `${process.platform} does not tell when a process started`;
beforeEach(() => rmSync(lock, { force: true }));
afterAll(() => {
  another.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

it('of a process that runs is not given, this one included', () => {
  const text = takeLock(lock);
  expect(readFileSync(lock, 'latin1')).toBe(text);
  expect(parseMark(text)).toEqual(ownMark());
  if (why === null)
    expect(() => takeLock(lock)).toThrow(
      /^process \d+ already coordinates this run \(.*\); end it first, or train into another --out$/,
    );
});

it('where another process may have the number, the line names the file to remove', () => {
  writeFileSync(lock, `${another.pid}\n`);
  expect(() => takeLock(lock)).toThrow(
    new RegExp(
      `^process ${another.pid} already coordinates this run .*; where process ${another.pid} is no coordinator of Lockstep, .*: remove ${lock}$`,
    ),
  );
});

it.each([`${process.pid}\n`, '', 'x', '-1\n', '1.5\n', `${spawnSync(process.execPath, ['-e', '']).pid}\n`])(
  '%j is taken over',
  (text) => {
    writeFileSync(lock, text);
    expect(readFileSync(lock, 'latin1')).toBe(text);
    expect(takeLock(lock)).toBe(markText(ownMark()));
  },
);

describe.skipIf(why !== null)(`with the time of the start${why === null ? '' : ` (skipped: ${why})`}`, () => {
  it('a number that was given again is known', () => {
    const [ticks, boot] = ownMark().start!.split('@');
    for (const start of [`1@${boot}`, `${ticks}@another`]) {
      writeFileSync(lock, `${another.pid} ${start}\n`);
      expect(takeLock(lock)).toBe(markText(ownMark()));
    }
  });

  it('a process that has ended, and whose parent does not ask, does not run', async () => {
    // The shell goes on as sleep, which never asks how its child ended; the child ends when its input does.
    const program = 'cat <&3 >&2 & echo $!; exec sleep 60 3<&-';
    const parent = spawn('sh', ['-c', program], { stdio: ['ignore', 'pipe', 'ignore', 'pipe'] });
    try {
      const text = await new Promise<string>((resolve) =>
        parent.stdout!.once('data', (data) => resolve(String(data))),
      );
      const pid = Number(text);
      await expect.poll(() => readFileSync(`/proc/${parent.pid}/comm`, 'latin1')).toBe('sleep\n');
      expect(isRunning({ pid, start: null })).toBe('unknown');
      (parent.stdio[3] as Writable).end();
      await expect.poll(() => isRunning({ pid, start: null })).toBe(false);
      expect(process.kill(pid, 0)).toBe(true);
    } finally {
      parent.kill('SIGKILL');
    }
  });
});
