// Many at one coordinator: 64 workers that compute, 500 connections that idle with the token in hand, and some plain sockets.
// Its memory and the lag of its event loop stay small from the first hello to the end, and the hash is that of a quiet run.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Token } from '../../proto/transport/token.ts';
import { coordinatorPath } from '../../proto/version.ts';
import { chooseBackend, helloOf } from '../../worker/choose-backend.ts';
import { foreignWebSocket } from '../support/raw-websocket.ts';
import { encoded } from '../support/sealing.ts';
import { cleanEnvironment, doneEvent, lockstep, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

const workers = 64;
const hosts = 4;
const idle = 500;
const steps = 30;
const idlePlain = 100;

const config = {
  name: 'many',
  data: { kind: 'digits', train: 320, test: 64 },
  // Everybody sends all its gradient to everybody: with 64 on a few cores it has to be a small one.
  model: {
    input: [28, 28, 1],
    layers: [{ type: 'maxPool', kernel: 4 }, { type: 'flatten' }, { type: 'dense', units: 10 }],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  epochs: 6,
  batch: 64,
  shards: workers,
};
const token = '89abcdef01234567'.repeat(4);
const memoryBytesMax = 512 * 2 ** 20;
const lagMsMax = 50;
/** What a machine that is busy with other things may add by not letting the coordinator run. */
const machineLagMsMax = 500;

interface Lag {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** A line of event-loop-watch.mjs. */
interface Watched {
  readonly looks: number;
  readonly lag: Lag;
  readonly own: Lag;
  /** From the start on. */
  readonly whole: Lag;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: token };
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
let expected = '';
let children: ChildProcess[] = [];
let sockets: (Socket | WebSocket)[] = [];

beforeAll(async () => {
  writeFileSync(join(cwd, 'many.json'), JSON.stringify(config));
  const quiet = await lockstep(['train', 'many.json', '--workers', '0', '--out', 'quiet', '--json'], { cwd });
  expected = doneEvent(quiet).weightsSha256;
});
afterEach(() => {
  for (const socket of sockets) socket instanceof WebSocket ? socket.terminate() : socket.destroy();
  for (const child of children) child.kill('SIGKILL');
  sockets = [];
  children = [];
});
afterAll(() => directory.remove());

/** A connection with the token that says hello, or not even that, and nothing after it; pings are answered. */
async function idleWebSocket(url: string, hello: Uint8Array | null): Promise<WebSocket> {
  const port = Number(new URL(url).port);
  const socket = await foreignWebSocket({
    port,
    path: coordinatorPath,
    role: 'worker',
    token: Token.parse(token, 'test'),
  });
  sockets.push(socket);
  if (hello !== null) socket.send(hello);
  return socket;
}

/** All at once. */
async function idleWebSockets(url: string): Promise<WebSocket[]> {
  const backend = await chooseBackend(undefined);
  const hello = (which: number): Uint8Array | null => {
    if (which % 2 === 0) return null;
    const said = helloOf(backend, { workerId: `idle-${which}`, threads: 1, peerHost: '', peerPort: 1 });
    return encoded({ ...said, nameSecret: '', runId: '', generation: 0 });
  };
  return Promise.all(Array.from({ length: idle }, (_, which) => idleWebSocket(url, hello(which))));
}

/** A process of several workers; resolves with what it printed, and how it ended. */
function workerHost(url: string): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [here('worker-host.mjs'), url, String(workers / hosts)], {
    cwd,
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  // Workers have machines of their own: here they take what the coordinator leaves.
  setPriority(child.pid!, 10);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
}

const shown = (phase: string, { lag, own, seconds, cpuSeconds, looks }: Watched): string =>
  `${phase}: ${seconds.toFixed(1)} s (${cpuSeconds.toFixed(1)} s of processor time), event-loop lag over ${looks} looks: ` +
  `p50 ${lag.p50Ms.toFixed(1)}, p99 ${lag.p99Ms.toFixed(1)}, at most ${lag.maxMs.toFixed(1)} ms ` +
  `(while it computed itself: p99 ${own.p99Ms.toFixed(1)}, at most ${own.maxMs.toFixed(1)} ms)`;

it(`leads ${workers} workers among ${idle} idle connections`, async () => {
  const watchFile = join(cwd, 'watch.ndjson');
  const coordinator = await startCoordinatorProcess(
    ['many.json', '--workers', String(workers), '--out', 'run'],
    {
      cwd,
      env: {
        ...env,
        LOCKSTEP_WATCH_FILE: watchFile,
        NODE_OPTIONS: `--import=${here('event-loop-watch.mjs')}`,
      },
      onSpawn: (child) => children.push(child),
    },
  );
  const { child, port, url, ended, output } = coordinator;
  for (let i = 0; i < idlePlain; i += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
  }
  const idling = await idleWebSockets(url);
  const joined = Promise.all(Array.from({ length: hosts }, () => workerHost(url)));
  let stepping = false;
  let openAtLastStep = 0;
  child.stdout!.on('data', () => {
    if (!stepping && output().includes('{"event":"step"')) {
      stepping = true;
      child.kill('SIGUSR2');
    }
    // After its last step it ends them all.
    if (!output().includes(`{"event":"step","step":${steps}`))
      openAtLastStep = idling.filter(({ readyState }) => readyState === WebSocket.OPEN).length;
  });
  const outcome = await ended;
  const outcomes = await joined;
  const watched = readFileSync(watchFile, 'utf8').trimEnd().split('\n');
  const [forming, stepped] = watched.map((line) => JSON.parse(line) as Watched);
  const peakBytes = stepped!.peakBytes;
  // More than one where the machine was too busy to let every worker be heard in time.
  const memberships = outcome.stdout.match(/"event":"membership"/g)!.length;
  console.info(
    [
      shown('forming', forming!),
      shown('stepping', stepped!),
      `the whole run: event-loop lag p99 ${stepped!.whole.p99Ms.toFixed(1)} ms`,
      `resident memory of the coordinator: at most ${(peakBytes / 2 ** 20).toFixed(0)} MiB; memberships: ${memberships}`,
    ].join('\n'),
  );
  expect(doneEvent(outcome)).toMatchObject({ steps, weightsSha256: expected, stopped: false });
  // Nobody who idled was cut off.
  expect(openAtLastStep).toBe(idle);
  for (const { exitCode, stdout, stderr } of outcomes) {
    expect(stderr).not.toContain('Warning');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ failures: [] });
  }
  expect(watched).toHaveLength(2);
  expect(peakBytes).toBeLessThanOrEqual(memoryBytesMax);
  for (const { lag, own } of [forming!, stepped!]) {
    expect(own.p99Ms).toBeLessThanOrEqual(lagMsMax);
    expect(lag.p99Ms).toBeLessThanOrEqual(machineLagMsMax);
  }
});
