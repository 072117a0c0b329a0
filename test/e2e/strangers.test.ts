// A coordinator among strangers and mistakes: every one gets one clear line and the right exit code, and the run that it
// was waiting for takes place all the same.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../proto/limits.ts';
import type { Message } from '../../proto/messages.ts';
import type { Request } from '../../proto/transport/handshake.ts';
import { Token } from '../../proto/transport/token.ts';
import { coordinatorPath, protocolVersion } from '../../proto/version.ts';
import {
  foreignWebSocket,
  maskedFrame,
  parseAnswer,
  requestTo,
  upgradeText,
} from '../support/raw-websocket.ts';
import { encoded } from '../support/sealing.ts';
import { doneEvent, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { type CoordinatorProcess, startCoordinatorProcess } from './coordinator-process.ts';

const config = {
  name: 'small',
  data: { kind: 'digits', train: 64, test: 16 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  epochs: 1,
  batch: 32,
};
const token = '0123456789abcdef'.repeat(4);
const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: token };
let run = 0;

let children: ChildProcess[] = [];

/** Resolves when it listens. */
function startCoordinator(workers: number, ...more: readonly string[]): Promise<CoordinatorProcess> {
  run += 1;
  return startCoordinatorProcess(['small.json', '--workers', `${workers}`, '--out', `run-${run}`, ...more], {
    cwd,
    env,
    onSpawn: (child) => children.push(child),
  });
}

const worker = (port: number, args: readonly string[] = [], extra: Readonly<Record<string, string>> = env) =>
  lockstep(['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1', ...args], { cwd, env: extra });

const door = (port: number, own = token) =>
  ({ port, path: coordinatorPath, role: 'worker', token: Token.parse(own, 'test') }) as const;

/** The status that a request gets, which says this otherwise than ours, or has more headers. */
async function status(
  port: number,
  other: Partial<Request>,
  more: Readonly<Record<string, string>> = {},
): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.write(upgradeText(requestTo(door(port), other), more));
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return parseAnswer(bytes).status;
}

/** The code with which these frames end the connection of one that was let in. */
async function closeCode(port: number, frame: Uint8Array | string): Promise<number> {
  const socket = await foreignWebSocket(door(port));
  socket.send(frame);
  return new Promise((resolve) => socket.once('close', resolve));
}

/** One that asks as ours do, with a proof by another token, or with bytes of its own: it is cut off without a word. */
async function impostor(port: number, frame: Uint8Array): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  const heard: Buffer[] = [];
  socket.on('data', (bytes) => heard.push(bytes));
  socket.on('error', () => undefined);
  socket.write(upgradeText(requestTo(door(port))));
  await once(socket, 'data');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(frame);
  await closed;
  expect(parseAnswer(Buffer.concat(heard)).status).toBe(101);
  expect(Buffer.concat(heard).toString('latin1')).toMatch(/\r\n\r\n$/);
}

const hello: Message = {
  type: 'hello',
  protocolVersion,
  packageVersion: '0.0.1',
  fingerprint: 'a'.repeat(64),
  kernelHashes: {},
  backend: 'native',
  variant: 'x',
  threads: 1,
  workerId: 'old',
  nameSecret: '',
  peerHost: '',
  peerPort: 1,
  runId: '',
  generation: 0,
};

beforeAll(() => writeFileSync(join(cwd, 'small.json'), JSON.stringify(config)));
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

const errorLine = ({ stderr }: Outcome): string =>
  stderr.split('\n').find((line) => line.startsWith('error:')) ?? stderr;

function expectClean({ stderr }: Outcome): void {
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stderr).not.toContain(token);
}

describe('at the door', () => {
  it('refuses strangers of every kind, and the run takes place all the same', async () => {
    const { port, ended } = await startCoordinator(1);
    await impostor(port, maskedFrame(Buffer.alloc(32), [0, 0, 0, 0]));
    await impostor(port, encoded(hello));
    await impostor(port, Buffer.alloc(100_000));
    expect(await status(port, { nonce: '' })).toBe(400);
    expect(await status(port, { role: 'peer' })).toBe(403);
    expect(await status(port, {}, { origin: 'http://example.org' })).toBe(403);
    expect(await status(port, { version: '999' })).toBe(426);
    const garbage = Uint8Array.from({ length: 500 }, (_unused, i) => (i * 37) % 251);
    expect(await closeCode(port, garbage)).toBe(1002);
    expect(await closeCode(port, 'text')).toBe(1002);
    expect(await closeCode(port, new Uint8Array(limits.workerFrameBytesMax + 1))).toBe(1009);
    const good = await worker(port);
    expect(good.exitCode).toBe(0);
    const outcome = await ended;
    expect(doneEvent(outcome).steps).toBe(2);
    expectClean(outcome);
  });

  it('tells a worker with a wrong token, or none', async () => {
    const { port } = await startCoordinator(1);
    const wrong = await worker(port, ['--wait', '1'], { LOCKSTEP_TOKEN: 'f'.repeat(64) });
    expect(wrong.exitCode).toBe(2);
    const told = `127.0.0.1:${port} did not prove that it has this token: give both sides the same token; else it is another program, or an older version`;
    expect(wrong.stderr).toContain(`${told}. It is waited for, for up to 1 seconds\n`);
    expect(errorLine(wrong)).toBe(`error: ${told}`);
    expectClean(wrong);
    const none = await worker(port, [], {});
    expect(none.exitCode).toBe(2);
    expect(errorLine(none)).toContain('a worker needs the token of its coordinator');
  });

  it('tells a worker of another version', async () => {
    const { port } = await startCoordinator(1);
    const socket = await foreignWebSocket(door(port));
    const answer = once(socket, 'message').then(([data]) => (data as Buffer).toString('latin1'));
    socket.send(encoded(hello));
    expect(await answer).toMatch(/LOCKSTEP_VERSION_MISMATCH.*this worker is version 0\.0\.1/s);
    socket.terminate();
  });

  it('tells a worker of other numerics which kernel differs', async () => {
    const { port, child } = await startCoordinator(2);
    // Whichever comes second is refused; the other waits for a second worker until the coordinator goes.
    const workers = [
      worker(port, ['--backend', 'reference']),
      worker(port, ['--backend', 'wasm'], { ...env, LOCKSTEP_WASM: 'strict' }),
    ];
    const refused = await Promise.race(workers);
    child.kill('SIGINT');
    const outcomes = await Promise.all(workers);
    expect(refused.exitCode).toBe(2);
    expect(errorLine(refused)).toMatch(
      /^error: numerics fingerprint of (wasm strict|reference float32) differs from the run's .* in \w+.*give all workers the same --backend$/,
    );
    const waiting = outcomes.find((outcome) => outcome !== refused)!;
    expect(waiting.exitCode).toBe(3);
  });
});

describe('the world', () => {
  it('a first worker at an address that the others may not dial ends none of them, and is told why it is left out', async () => {
    // Long enough for the one that is left out to come back and be refused.
    const length = ['--steps', '1000'];
    const { port, ended } = await startCoordinator(2, ...length);
    const join = ['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1'];
    const settings = { cwd, env, onSpawn: (child: ChildProcess) => void children.push(child) };
    const told = new Promise<string>((resolve) => {
      void lockstep([...join, '--insecure', '--advertise', '192.0.2.1:9'], {
        ...settings,
        onOutput: (text) => {
          if (text.includes('refused this worker')) resolve(text);
          if (text.includes('connected')) wake();
        },
      });
    });
    let wake: () => void = () => undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    const others = await Promise.all([lockstep(join, settings), lockstep(join, settings)]);
    expect(others.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const alone = ['train', 'small.json', '--workers', '0', '--out', 'quiet', '--json', ...length];
    const quiet = await lockstep(alone, { cwd });
    expect(doneEvent(await ended).weightsSha256).toBe(doneEvent(quiet).weightsSha256);
    expect(await told).toContain(
      'the coordinator refused this worker for now: the other workers could not reach this one a moment ago ' +
        '(they dial 192.0.2.1, port 9: --listen, --advertise)',
    );
  });

  it('a worker does not advertise an address that others reach without TLS, unless this is wanted', async () => {
    const outcome = await worker(1, ['--advertise', '192.0.2.1:9']);
    expect(outcome.exitCode).toBe(2);
    expect(errorLine(outcome)).toContain(
      '192.0.2.1 can be reached by other machines and the traffic is not encrypted',
    );
  });

  it('says that a port is in use', async () => {
    const squatter = createServer();
    const port = await new Promise<number>((resolve) => {
      squatter.listen(0, '127.0.0.1', () => resolve((squatter.address() as { port: number }).port));
    });
    const outcome = await lockstep(
      ['coordinator', 'small.json', '--listen', `127.0.0.1:${port}`, '--out', 'in-use'],
      { cwd, env },
    );
    squatter.close();
    expect(outcome.exitCode).toBe(2);
    expect(errorLine(outcome)).toContain(`port ${port} of 127.0.0.1 is in use by another process`);
    expectClean(outcome);
  });

  it('says that nobody listens', async () => {
    const outcome = await worker(1, ['--wait', '0']);
    expect(outcome.exitCode).toBe(3);
    expect(errorLine(outcome)).toBe(
      'error: cannot reach 127.0.0.1:1 (ECONNREFUSED): is the coordinator running, and is 127.0.0.1:1 its address?',
    );
  });
});
