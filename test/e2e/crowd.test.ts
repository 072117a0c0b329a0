// A coordinator in a crowd: a thousand strangers, five hundred handshakes that drip, and a peer with the token that never
// reads. It stays up, its memory stays bounded, and the honest run ends with the hash of a quiet one.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { limits } from '../../proto/limits.ts';
import { Token } from '../../proto/transport/token.ts';
import { coordinatorPath } from '../../proto/version.ts';
import { chooseBackend, helloOf } from '../../worker/choose-backend.ts';
import { foreignWebSocket, requestTo, upgradeText } from '../support/raw-websocket.ts';
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

const door = (port: number) =>
  ({ port, path: coordinatorPath, role: 'worker', token: Token.parse(token, 'test') }) as const;

const upgrade = (port: number): string =>
  upgradeText(requestTo(door(port)), { 'x-filler': 'x'.repeat(4_000) });

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

/** A good handshake, of which a byte comes now and then; resolves with how long it was let do so. */
async function drip(port: number): Promise<number> {
  const socket = dial(port);
  const started = performance.now();
  const bytes = Buffer.from(upgrade(port));
  let at = 0;
  const timer = setInterval(() => {
    socket.write(bytes.subarray(at, at + 1));
    at += 1;
  }, dripMs);
  await closed(socket);
  clearInterval(timer);
  return performance.now() - started;
}

/** Half of them say nothing at all, half ask to be let in and prove nothing; resolves when all are gone. */
function stranger(port: number, which: number): Promise<void> {
  const socket = dial(port);
  if (which % 2 === 0) socket.write(upgrade(port));
  return closed(socket);
}

/** A worker by its token and its hello, which asks for the data set and never reads any of it. */
async function mutePeer(port: number): Promise<void> {
  const backend = await chooseBackend(undefined);
  const socket = await foreignWebSocket(door(port));
  sockets.push(socket);
  socket.pause();
  const hello = helloOf(backend, { workerId: 'mute', threads: 1, peerHost: '', peerPort: 1 });
  const checks = checksOf();
  socket.send(encoded({ ...hello, nameSecret: '', runId: '', generation: 0 }, checks));
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
    // It is cut off when it was silent for too long, if the run lasts as long.
    const ofMute = outcome.stdout.split('\n').filter((line) => line.includes('worker mute'));
    for (const line of ofMute) expect(line).toMatch(/worker mute is gone: silent for \d/);
    expect(outcome.stderr).not.toMatch(/^\s+at /m);
    expect(output().includes(token)).toBe(false);
  },
);

type Attack = 'crowd' | 'storm';

/** A stretch of a run. Processor time in seconds. */
interface Window {
  readonly stepsPerSecond: number;
  readonly seconds: number;
  readonly coordinatorCpu: number;
  readonly attackersCpu: number;
  /** Connections of the attackers that came to their end. */
  readonly ended: number;
}

const windowMs = 1_500;
/** An attack has begun when it is measured. */
const beginningMs = 500;
const rounds = 2;
/** Of one core, that the coordinator may take under attack: several times what it does. */
const coordinatorShareMax = 0.5;

function cpuSecondsOf(pid: number): number {
  const [, fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, system] = fields!.split(' ').slice(11, 13).map(Number);
  return (user! + system!) / 100;
}

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

it.skipIf(!existsSync('/proc/self/stat'))('a run under attack goes on at its pace', async () => {
  const long = { ...config, batch: 250, epochs: 10_000 };
  writeFileSync(join(cwd, 'long.json'), JSON.stringify(long));
  const onSpawn = (child: ChildProcess): void => void children.push(child);
  const coordinator = await startCoordinatorProcess(['long.json', '--workers', '2', '--out', 'attacked'], {
    cwd,
    env,
    onSpawn,
  });
  const { child, port, ended, output } = coordinator;
  const steps = (): number => Number(/.*"event":"step","step":(\d+)/s.exec(output().slice(-8_000))?.[1] ?? 0);
  const workers = Promise.all([startWorker(port), startWorker(port)]);
  const attackers = fork(fileURLToPath(new URL('attackers.mjs', import.meta.url)), [String(port)]);
  onSpawn(attackers);
  await once(attackers, 'message');
  while (steps() === 0) await once(child.stdout!, 'data');

  const measure = async (attack: Attack | null): Promise<Window> => {
    if (attack !== null) {
      attackers.send(attack);
      await pass(beginningMs);
    }
    const before = { steps: steps(), cpu: cpuSecondsOf(child.pid!), ms: performance.now() };
    await pass(windowMs);
    const seconds = (performance.now() - before.ms) / 1000;
    const stepsPerSecond = (steps() - before.steps) / seconds;
    const coordinatorCpu = cpuSecondsOf(child.pid!) - before.cpu;
    if (attack === null) return { stepsPerSecond, seconds, coordinatorCpu, attackersCpu: 0, ended: 0 };
    attackers.send('stop');
    const [told] = (await once(attackers, 'message')) as [{ ended: number; cpuSeconds: number }];
    const share = seconds / (seconds + beginningMs / 1000);
    return {
      stepsPerSecond,
      seconds,
      coordinatorCpu,
      attackersCpu: told.cpuSeconds * share,
      ended: told.ended,
    };
  };

  const quiet: Window[] = [await measure(null)];
  const under: Record<Attack, Window[]> = { crowd: [], storm: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const attack of ['crowd', 'storm'] as const) {
      under[attack].push(await measure(attack));
      quiet.push(await measure(null));
    }
  }
  child.kill('SIGINT');
  const outcome = await ended;
  await workers;

  const pace = middle(quiet.map(({ stepsPerSecond }) => stepsPerSecond));
  const share = (windows: readonly Window[], of: (window: Window) => number): number =>
    middle(windows.map((window) => of(window) / window.seconds));
  const cores = availableParallelism();
  console.info(
    `quiet: ${pace.toFixed(1)} steps/s, coordinator ${percent(share(quiet, (w) => w.coordinatorCpu))} of a core`,
  );
  for (const [attack, windows] of Object.entries(under)) {
    const ratio = middle(windows.map(({ stepsPerSecond }) => stepsPerSecond)) / pace;
    const taken = share(windows, (w) => w.attackersCpu);
    const served = share(windows, (w) => w.coordinatorCpu);
    console.info(
      `${attack}: ${percent(ratio)} of the quiet pace; attackers ${percent(taken)} of a core, without which ` +
        `${percent(ratio / (1 - taken / cores))}; coordinator ${percent(served)}; ` +
        `${middle(windows.map((w) => w.ended))} connections ended`,
    );
    expect(served).toBeLessThan(coordinatorShareMax);
    expect(ratio).toBeGreaterThan(0);
  }
  expect(doneEvent(outcome).stopped).toBe(true);
  // One membership, and not a line for any stranger.
  expect(outcome.stdout.match(/"event":"membership"/g)).toHaveLength(1);
  expect(outcome.stderr.split('\n').length).toBeLessThan(20);
  expect(output().includes(token)).toBe(false);
});

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
