// A coordinator in a crowd: a thousand strangers, five hundred handshakes that drip, and a peer with the token that never
// reads. It stays up, its memory stays bounded, and the honest run ends with the hash of a quiet one.

import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { limits } from '../../proto/limits.ts';
import { coordinatorPath, protocolVersion, roleHeader, versionHeader } from '../../proto/version.ts';
import { chooseBackend, helloOf } from '../../worker/choose-backend.ts';
import { checksOf, encoded } from '../support/sealing.ts';
import { doneEvent, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { type CoordinatorProcess, startCoordinatorProcess } from './coordinator-process.ts';

const config = {
  name: 'crowd',
  // 14 MB to hand out: more than the system keeps for a peer that does not read.
  data: { kind: 'digits', train: 4_500, test: 100 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  epochs: 6,
  batch: 50,
};
const token = 'fedcba9876543210'.repeat(4);
const strangers = 1_000;
const slowHandshakes = 500;
const dripMs = 250;
/** What the crowd may add to the coordinator's resident memory; it comes to a fraction of this. */
const crowdBytesMax = 96 * 2 ** 20;
/** A late timer on a busy machine. */
const slackMs = 5_000;

const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: token };
let expected = '';
let children: ChildProcess[] = [];
let sockets: (Socket | WebSocket)[] = [];

beforeAll(async () => {
  writeFileSync(join(cwd, 'crowd.json'), JSON.stringify(config));
  const quiet = await lockstep(['train', 'crowd.json', '--workers', '0', '--out', 'quiet', '--json'], {
    cwd,
    env,
  });
  expected = doneEvent(quiet).weightsSha256;
});
afterEach(() => {
  for (const socket of sockets) socket instanceof WebSocket ? socket.terminate() : socket.destroy();
  for (const child of children) child.kill('SIGKILL');
  sockets = [];
  children = [];
});
afterAll(() => directory.remove());

const startCoordinator = (): Promise<CoordinatorProcess> =>
  startCoordinatorProcess(['crowd.json', '--workers', '2', '--out', 'run'], {
    cwd,
    env,
    onSpawn: (child) => children.push(child),
  });

const startWorker = (port: number): Promise<Outcome> =>
  lockstep(['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1'], { cwd, env });

/** VmRSS now and VmHWM, the most it ever was, in bytes. */
function memoryOf(pid: number): { readonly resident: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) * 1024;
  return { resident: field('VmRSS'), peak: field('VmHWM') };
}

const upgrade = (authorization: string): string =>
  [
    `GET ${coordinatorPath} HTTP/1.1`,
    'host: x',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version: 13',
    `authorization: ${authorization}`,
    `${roleHeader}: worker`,
    `${versionHeader}: ${protocolVersion}`,
    `x-filler: ${'x'.repeat(4_000)}`,
    '',
    '',
  ].join('\r\n');

function dial(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.resume();
  });

/** A handshake, the token included, of which a byte comes now and then; resolves with how long it was let do so. */
async function drip(port: number): Promise<number> {
  const socket = dial(port);
  const started = performance.now();
  const bytes = Buffer.from(upgrade(`Bearer ${token}`));
  let at = 0;
  const timer = setInterval(() => {
    socket.write(bytes.subarray(at, at + 1));
    at += 1;
  }, dripMs);
  await closed(socket);
  clearInterval(timer);
  return performance.now() - started;
}

/** Half of them say nothing at all, half ask to be let in with a wrong token; resolves when all are gone. */
function stranger(port: number, which: number): Promise<void> {
  const socket = dial(port);
  if (which % 2 === 0) socket.write(upgrade(`Bearer ${'0'.repeat(64)}`));
  return closed(socket);
}

/** A worker by its token and its hello, which asks for the data set and never reads any of it. */
async function mutePeer(port: number): Promise<void> {
  const backend = await chooseBackend(undefined);
  const socket = new WebSocket(`ws://127.0.0.1:${port}${coordinatorPath}`, {
    headers: {
      authorization: `Bearer ${token}`,
      [roleHeader]: 'worker',
      [versionHeader]: String(protocolVersion),
    },
  });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve));
  socket.pause();
  const hello = helloOf(backend, { workerId: 'mute', threads: 1, peerHost: '', peerPort: 1 });
  const checks = checksOf();
  socket.send(encoded({ ...hello, runId: '', generation: 0 }, checks));
  socket.send(encoded({ type: 'dataRequest' }, checks));
}

it.skipIf(!existsSync('/proc/self/status'))(
  'a crowd at the door, and the run takes place all the same',
  async () => {
    const { child, port, ended, output } = await startCoordinator();
    const pid = child.pid!;
    const before = memoryOf(pid);
    const first = startWorker(port);
    await mutePeer(port);
    const dripping = await Promise.all(Array.from({ length: slowHandshakes }, () => drip(port)));
    // There is room for all of them; each goes when its time is over.
    expect(Math.min(...dripping)).toBeGreaterThan(limits.upgradeTimeoutMs * 0.9);
    expect(Math.max(...dripping)).toBeLessThan(limits.upgradeTimeoutMs + slackMs);

    const gone = Promise.all(Array.from({ length: strangers }, (_, which) => stranger(port, which)));
    const second = startWorker(port);
    const workers = Promise.all([first, second]);
    const crowded = memoryOf(pid);
    await workers;
    await gone;
    const outcome = await ended;
    console.info(
      `resident memory: ${before.resident >> 20} MiB before, ${crowded.resident >> 20} MiB in the crowd, at most ${crowded.peak >> 20} MiB`,
    );
    expect(crowded.peak - before.resident).toBeLessThan(crowdBytesMax);
    expect((await workers).map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(doneEvent(outcome).weightsSha256).toBe(expected);
    const ofMute = outcome.stdout.split('\n').filter((line) => line.includes('worker mute'));
    expect(ofMute).toEqual([expect.stringMatching(/worker mute is gone: silent for \d/)]);
    expect(outcome.stderr).not.toMatch(/^\s+at /m);
    expect(output().includes(token)).toBe(false);
  },
);
