// A coordinator dies, and another program takes its port: it learns nothing, the workers that hold the newest state wait for the
// real one behind whatever it answers, and the run ends with the hash of a quiet one.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Token } from '../../proto/transport/token.ts';
import { nonceHeader, proofHeader } from '../../proto/version.ts';
import { deferred } from '../../src/platform/deferred.ts';
import { doneEvent, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

const config = {
  name: 'impostor',
  data: { kind: 'digits', train: 500, test: 20 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.01 },
  steps: 6_000,
  batch: 250,
};
const token = Token.generate();
const env = { LOCKSTEP_TOKEN: token.reveal() };
const directory = temporaryDirectory();
const cwd = directory.path;
let children: ChildProcess[] = [];
let expected = '';

beforeAll(async () => {
  writeFileSync(join(cwd, 'impostor.json'), JSON.stringify(config));
  const quiet = await lockstep(['train', 'impostor.json', '--workers', '0', '--out', 'quiet', '--json'], {
    cwd,
  });
  expected = doneEvent(quiet).weightsSha256;
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

const onSpawn = (child: ChildProcess): void => void children.push(child);
const terminalEscape = '\u001b[2J\u001b]0;owned\u0007';
const made = 'ab'.repeat(32);
const page = (status: string): string =>
  `HTTP/1.1 ${status}\r\nx-lockstep-note: ${terminalEscape}\r\ncontent-length: ${terminalEscape.length}\r\n\r\n${terminalEscape}`;

/** What the impostor answers, one after another. */
const answers: readonly string[] = [
  page('401 Unauthorized'),
  page('403 Forbidden'),
  page('404 Not Found'),
  page('426 Upgrade Required'),
  page('496 Certificate Required'),
  page('200 OK'),
  page('301 Moved\r\nlocation: ws://127.0.0.1:1/'),
  'HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  `HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n${nonceHeader}: ${made}\r\n${proofHeader}: ${made}\r\n\r\n`,
  terminalEscape.repeat(1_000),
  '',
];

/** Listens at `port` as soon as it is free. */
async function takePort(port: number, onRequest: (text: string, socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => onRequest(bytes.toString('latin1'), socket));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

it('learns nothing and ends nobody', async () => {
  const args = ['impostor.json', '--workers', '2', '--out', 'run'];
  const first = await startCoordinatorProcess(args, { cwd, env, onSpawn });
  const worker = (): Promise<Outcome> =>
    lockstep(['worker', '--join', first.url, '--threads', '1'], { cwd, env, onSpawn });
  const workers = Promise.all([worker(), worker()]);
  while (!first.output().includes('"event":"step"')) await once(first.child.stdout!, 'data');
  first.child.kill('SIGKILL');
  await first.ended;

  const said: string[] = [];
  const open = new Set<Socket>();
  const allAnswered = deferred<void>();
  const impostor = await takePort(first.port, (text, socket) => {
    open.add(socket);
    said.push(text);
    const answer = answers[(said.length - 1) % answers.length]!;
    socket.write(answer);
    if (answer === '') socket.resetAndDestroy();
    if (said.length > 2 * answers.length) allAnswered.resolve();
  });
  await allAnswered.promise;
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => impostor.close(resolve));
  expect(said.join('')).not.toContain(proofHeader);

  const again = ['coordinator', ...args, '--listen', `127.0.0.1:${first.port}`, '--resume', '--json'];
  const outcome = await lockstep(again, { cwd, env, onSpawn });
  expect(doneEvent(outcome).weightsSha256).toBe(expected);
  for (const { exitCode, stderr, stdout } of await workers) {
    expect(exitCode).toBe(0);
    expect(stdout + stderr).not.toContain('\u001b');
  }
});
