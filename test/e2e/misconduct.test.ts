// Members with the token that send what they must not: each is named and left out, is not let in again, and the run of the
// honest worker ends with the hash of a quiet one.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { ProtocolError } from '../../proto/error.ts';
import type { MessageFrom, MessageOf } from '../../proto/messages.ts';
import { connect } from '../../proto/transport/client.ts';
import type { Connection } from '../../proto/transport/connection.ts';
import { Token } from '../../proto/transport/token.ts';
import { coordinatorPath } from '../../proto/version.ts';
import { chooseBackend, helloOf } from '../../worker/choose-backend.ts';
import { doneEvent, lockstep, temporaryDirectory } from './command-line.ts';
import { type CoordinatorProcess, startCoordinatorProcess } from './coordinator-process.ts';

const config = {
  name: 'misconduct',
  data: { kind: 'digits', train: 320, test: 32 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  // Long enough for one who was turned out to come back while it runs.
  epochs: 60,
  batch: 32,
};
const token = Token.generate();
const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: token.reveal() };
let expected = '';
let hello: ReturnType<typeof helloOf>;
/** Of the rogue's first welcome in this run. */
let nameSecret = '';
let runs = 0;
let children: ChildProcess[] = [];
let connections: Connection<'worker'>[] = [];

beforeAll(async () => {
  const backend = await chooseBackend(undefined);
  hello = helloOf(backend, { workerId: 'rogue', threads: 1, peerHost: '', peerPort: 1 });
  writeFileSync(join(cwd, 'misconduct.json'), JSON.stringify(config));
  const args = ['train', 'misconduct.json', '--workers', '0', '--out', 'quiet', '--json'];
  expected = doneEvent(await lockstep(args, { cwd })).weightsSha256;
});
afterEach(() => {
  for (const connection of connections) connection.destroy();
  for (const child of children) child.kill('SIGKILL');
  connections = [];
  children = [];
  nameSecret = '';
});
afterAll(() => directory.remove());

function startCoordinator(...more: readonly string[]): Promise<CoordinatorProcess> {
  runs += more.length === 0 ? 1 : 0;
  return startCoordinatorProcess(['misconduct.json', '--workers', '2', '--out', `run-${runs}`, ...more], {
    cwd,
    env,
    onSpawn: (child) => children.push(child),
  });
}

type FromCoordinator = MessageFrom<'coordinator'>;

/** A worker made of the protocol's own parts, without any manners: it says hello and then what `answer` gives it to say. */
async function hostile(
  port: number,
  answer: (message: FromCoordinator, connection: Connection<'worker'>) => void,
): Promise<{ readonly closed: Promise<void> }> {
  const connection = await connect({
    ...{ local: 'worker', host: '127.0.0.1', port, path: coordinatorPath, role: 'worker', token },
  });
  connections.push(connection);
  const closed = new Promise<void>((resolve) => {
    connection.start({
      onMessage: (message) => {
        if (message.type === 'welcome') nameSecret = message.nameSecret;
        answer(message, connection);
      },
      onClose: () => resolve(),
    });
  });
  connection.send({ ...hello, nameSecret, runId: '', generation: 0 });
  return { closed };
}

const evaluation = (generation: number): MessageOf<'evaluation'> => ({
  type: 'evaluation',
  generation,
  step: 10,
  firstShard: 7,
  sums: new Uint8Array(64),
});

const piece = (generation: number): MessageOf<'statePiece'> => ({
  type: 'statePiece',
  generation,
  step: 10,
  section: 'nothing',
  offset: 0,
  total: 4,
  bytes: new Uint8Array(4),
});

const report = (generation: number): MessageOf<'report'> => ({
  ...{ type: 'report', generation, step: 4e9, sums: new Uint8Array(8 * 2 * 4), gradientNorm: 0, seconds: 1 },
});

async function expectRefused(port: number): Promise<void> {
  const refused = new Promise<FromCoordinator>((resolve, reject) => {
    hostile(port, resolve).catch(reject);
  });
  expect(await refused).toMatchObject({
    type: 'refused',
    code: 'LOCKSTEP_PROTOCOL',
    message: expect.stringMatching(/^worker rogue is kept out of this run: it (sent|said) /),
  });
}

it.each<[string, (generation: number) => MessageFrom<'worker'>, RegExp]>([
  [
    'a message that is not of the table',
    () => ({ type: 'ready', generation: -1, digest: 0 }),
    /worker rogue is gone: it sent what it must not: message ready: generation must be a whole number/,
  ],
  ["another's shards", evaluation, /worker rogue is gone: it sent an evaluation of other shards/],
  [
    'a snapshot of a step that nobody took',
    piece,
    /worker rogue is gone: it sent a snapshot of step 10, where the run is at step 0/,
  ],
  [
    'a report of a step that is not in the plan',
    report,
    /worker rogue is gone: it sent a report of step 4000000000 after step 0 of 600/,
  ],
  [
    'a second hello',
    () => ({ ...hello, nameSecret: '', runId: '', generation: 0 }),
    /worker rogue is gone: it said hello twice/,
  ],
])('%s: named, left out and kept out', async (_what, wrong, told) => {
  const { port, ended } = await startCoordinator();
  const { closed } = await hostile(port, (message, connection) => {
    if (message.type === 'welcome') connection.send({ type: 'ready', generation: 0, digest: 0 });
    if (message.type === 'membership') connection.send(wrong(message.generation));
  });
  const honest = lockstep(['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1'], { cwd, env });
  await closed;
  await expectRefused(port);
  const outcome = await ended;
  expect((await honest).exitCode).toBe(0);
  expect(outcome.stdout.split('\n').filter((line) => told.test(line)).length).toBeGreaterThan(0);
  expect(doneEvent(outcome).weightsSha256).toBe(expected);
});

/** What is answered to a hello with these changes. */
async function answerTo(port: number, changes: Partial<MessageOf<'hello'>>): Promise<FromCoordinator> {
  const connection = await connect({
    ...{ local: 'worker', host: '127.0.0.1', port, path: coordinatorPath, role: 'worker', token },
  });
  connections.push(connection);
  const answer = new Promise<FromCoordinator>((resolve) => {
    connection.start({ onMessage: resolve, onClose: () => undefined });
  });
  connection.send({ ...hello, nameSecret: '', runId: '', generation: 0, ...changes });
  return answer;
}

it('does not take the place of another by its name, under this coordinator or the next', async () => {
  // Long enough to be tried at both coordinators.
  writeFileSync(join(cwd, 'long.json'), JSON.stringify({ ...config, epochs: 600 }));
  const run = ['long.json', '--workers', '2', '--out', 'names'];
  const first = await startCoordinatorProcess(run, { cwd, env, onSpawn: (child) => children.push(child) });
  const { port, child } = first;
  const args = ['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1'];
  const honest = Promise.all([0, 1].map(() => lockstep(args, { cwd, env })));
  while (!first.output().includes('"event":"step"')) await once(child.stdout!, 'data');
  const journal = readFileSync(join(cwd, 'names', 'journal.ndjson'), 'utf8');
  const { runId } = JSON.parse(journal.split('\n', 1)[0]!) as { runId: string };
  const workerId = /"workerIds":\["([^"]+)"/.exec(journal)![1]!;
  const refused = {
    ...{ type: 'refused', code: 'LOCKSTEP_UNAUTHORIZED' },
    message: `the name ${workerId} belongs to another worker of this run, which can prove it`,
  };
  const attempts = [{}, { runId }, { runId, generation: 1 }, { runId, nameSecret: 'a'.repeat(64) }];
  const tryAll = (): Promise<FromCoordinator[]> =>
    Promise.all(attempts.map((each) => answerWhenThere(port, { workerId, ...each })));
  expect(await tryAll()).toEqual(attempts.map(() => refused));
  child.kill('SIGKILL');
  await first.ended;
  const second = lockstep(['coordinator', ...run, '--resume', '--json', '--listen', `127.0.0.1:${port}`], {
    cwd,
    env,
    onSpawn: (spawned) => void children.push(spawned),
  });
  expect(await tryAll()).toEqual(attempts.map(() => refused));
  const outcome = await second;
  expect((await honest).map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  const quiet = await lockstep(['train', 'long.json', '--workers', '0', '--out', 'long', '--json'], { cwd });
  expect(doneEvent(outcome).weightsSha256).toBe(doneEvent(quiet).weightsSha256);
});

/** The same of a coordinator that may have to start first. */
async function answerWhenThere(port: number, changes: Partial<MessageOf<'hello'>>): Promise<FromCoordinator> {
  for (;;) {
    try {
      return await answerTo(port, changes);
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== 'unreachable') throw error;
      await setImmediate();
    }
  }
}
