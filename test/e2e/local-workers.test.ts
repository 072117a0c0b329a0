// Worker processes that this machine starts: their ends are told, and none outlives its parent, even where the parent
// is killed without a chance to say so.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalWorkerExit, startLocalWorkers } from '../../deploy/launch/local-workers.ts';
import { cleanEnvironment, repositoryRoot } from './command-line.ts';

const token = 'ab'.repeat(32);
const goneWithinMs = 5000;

/** A coordinator that takes connections and never says a word. */
let silent: Server;
let joinUrl: string;

beforeAll(async () => {
  silent = createServer((socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  joinUrl = `ws://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
});
afterAll(() => void silent.close());

/** Zombies, which an init that does not reap leaves behind, do not run. */
function isRunning(pid: number): boolean {
  try {
    if (process.platform === 'linux') return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function allGone(pids: readonly number[]): Promise<boolean> {
  for (const endMs = Date.now() + goneWithinMs; Date.now() < endMs; await pause(20)) {
    if (!pids.some(isRunning)) return true;
  }
  return false;
}

describe('local workers', () => {
  it('tell how they ended, with the last line they said', async () => {
    const told: LocalWorkerExit[] = [];
    const lines: string[] = [];
    const { ended } = startLocalWorkers({
      count: 2,
      joinUrl: 'ws://127.0.0.1:1',
      token,
      threads: 1,
      backend: undefined,
      onLine: (worker, line) => lines.push(`${worker}: ${line}`),
      onExit: (exit) => told.push(exit),
    });
    const exits = await ended;
    expect(told.map(({ worker }) => worker).sort()).toEqual([1, 2]);
    for (const { code, signal, lastLine, worker } of exits) {
      expect({ code, signal }).toEqual({ code: 3, signal: null });
      expect(lastLine).toMatch(/^error: .*127\.0\.0\.1:1/);
      expect(lines).toContain(`${worker}: ${lastLine}`);
    }
  });

  it('end when they are asked to', async () => {
    const workers = startLocalWorkers({
      count: 2,
      joinUrl,
      token,
      threads: 1,
      backend: undefined,
      onLine: () => undefined,
      onExit: () => undefined,
    });
    const exits = await workers.stop();
    expect(exits.map(({ signal }) => signal)).toEqual(['SIGTERM', 'SIGTERM']);
    expect(await allGone(workers.pids)).toBe(true);
  });

  it('do not outlive a parent that was killed', async () => {
    const launcher = pathToFileURL(join(repositoryRoot, 'dist', 'deploy', 'launch', 'local-workers.js')).href;
    const program = `
      import { startLocalWorkers } from ${JSON.stringify(launcher)};
      const { pids } = startLocalWorkers({
        count: 2, joinUrl: ${JSON.stringify(joinUrl)}, token: ${JSON.stringify(token)}, threads: 1,
        onLine: () => {}, onExit: () => {},
      });
      console.log(JSON.stringify(pids));`;
    const connected = new Promise<void>((resolve) => silent.once('connection', () => resolve()));
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pids = await new Promise<number[]>((resolve) => {
      parent.stdout.once('data', (text: Buffer) => resolve(JSON.parse(text.toString())));
    });
    await connected;
    expect(pids.filter(isRunning)).toHaveLength(2);
    parent.kill('SIGKILL');
    expect(await allGone(pids)).toBe(true);
  });
});
