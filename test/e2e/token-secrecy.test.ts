// The token shows itself nowhere: not in what any process says, not in any file of the run, whole or in part; not on the ways
// that end in errors either, nor with Node's own debugging output turned on.

import { type ChildProcess, execFileSync } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Token } from '../../proto/transport/token.ts';
import { coordinatorPath, protocolVersion } from '../../proto/version.ts';
import { foreignWebSocket } from '../support/raw-websocket.ts';
import { encoded } from '../support/sealing.ts';
import { doneEvent, entry, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

const config = {
  name: 'secret',
  data: { kind: 'digits', train: 64, test: 16 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  epochs: 2,
  batch: 32,
};
/** So many characters in a row give a part of the token away. */
const partLength = 16;
/** What makes Node and libraries talk; nothing of ours listens to it. Not `child_process`, which lists whole environments. */
const talkative = { NODE_DEBUG: 'http,https,net,tls,stream,worker', DEBUG: '*' };

const directory = temporaryDirectory();
const cwd = directory.path;
const newToken = (): string => randomBytes(32).toString('hex');
let children: ChildProcess[] = [];

beforeAll(() => writeFileSync(join(cwd, 'secret.json'), JSON.stringify(config)));
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

/** Where a part of the token is, in any of these texts by name: the names. */
function givenAway(token: string, texts: ReadonlyMap<string, string>): string[] {
  const parts = Array.from({ length: token.length - partLength + 1 }, (_, at) =>
    token.slice(at, at + partLength),
  );
  return [...texts].flatMap(([name, text]) =>
    parts.some((part) => text.toLowerCase().includes(part)) ? [name] : [],
  );
}

/** Every file below `path`, but for the one that is there to hold the token. */
function filesOf(path: string): Map<string, string> {
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter(
    (found) => found.isFile() && found.name !== 'token',
  );
  return new Map(
    files.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'latin1')] as const),
  );
}

const said = (name: string, { stdout, stderr }: Outcome): [string, string][] => [
  [`${name}, stdout`, stdout],
  [`${name}, stderr`, stderr],
];

const worker = (port: number, args: readonly string[], env: Readonly<Record<string, string>>) =>
  lockstep(['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1', ...args], {
    cwd,
    env: { ...talkative, ...env },
  });

/** A worker of an older version, which is refused after its hello; resolves with what it was told. */
async function olderWorker(port: number, token: string): Promise<string> {
  const door = { port, path: coordinatorPath, role: 'worker', token: Token.parse(token, 'test') } as const;
  const socket = await foreignWebSocket(door);
  const hello = encoded({
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
  });
  const told = once(socket, 'message');
  socket.send(hello);
  const [data] = (await told) as [Buffer];
  socket.terminate();
  return data.toString('latin1');
}

/** Between workers and a coordinator: everything that goes either way is kept. */
async function recordingProxy(target: number): Promise<{ port: number; heard: () => Buffer; close(): void }> {
  const heard: Buffer[] = [];
  const server = createServer((socket) => {
    const onwards = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [socket, onwards],
      [onwards, socket],
    ] as const) {
      from.on('error', () => to.destroy());
      from.on('data', (bytes: Buffer) => heard.push(bytes));
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { port, heard: () => Buffer.concat(heard), close: () => server.close() };
}

/** The forms in which a secret of these bytes could be on a wire, as latin1 text. */
function formsOf(secret: Buffer): Map<string, string> {
  return new Map([
    ['bytes', secret.toString('latin1')],
    ['hexadecimal', secret.toString('hex')],
    ['base64', secret.toString('base64')],
    ['base64url', secret.toString('base64url')],
    ['base64 of the text', Buffer.from(secret.toString('hex')).toString('base64')],
  ]);
}

/** Where `length` characters in a row of any form of the secret are in `text`: the forms. */
function onTheWire(secret: Buffer, text: string, length: number): string[] {
  return [...formsOf(secret)].flatMap(([name, form]) => {
    const parts = Array.from({ length: form.length - length + 1 }, (_, at) => form.slice(at, at + length));
    return parts.some((part) => text.includes(part)) ? [name] : [];
  });
}

it('is on no wire, in no form, and neither is what is derived from it', async () => {
  const token = newToken();
  const { port, ended } = await startCoordinatorProcess(
    ['secret.json', '--workers', '1', '--out', 'tapped'],
    { cwd, env: { LOCKSTEP_TOKEN: token }, onSpawn: (spawned) => children.push(spawned) },
  );
  const proxy = await recordingProxy(port);
  const wrong = await worker(proxy.port, ['--wait', '0'], { LOCKSTEP_TOKEN: newToken() });
  expect(wrong.exitCode).toBe(2);
  const good = await worker(proxy.port, [], { LOCKSTEP_TOKEN: token });
  expect(good.exitCode).toBe(0);
  expect(doneEvent(await ended).steps).toBe(4);
  proxy.close();
  const text = proxy.heard().toString('latin1');
  // The tap works: this is what goes over the wire instead.
  expect(text).toMatch(/x-lockstep-proof: [0-9a-f]{64}/);
  const secret = Buffer.from(token, 'hex');
  expect(onTheWire(secret, `..${secret.toString('base64url').slice(3)}`, partLength)).toContain('base64url');
  expect(onTheWire(secret, text, partLength)).toEqual([]);
  const derived = [
    createHash('sha256').update(secret).digest(),
    createHash('sha256').update(token).digest(),
    createHmac('sha256', secret).update('lockstep handshake').digest(),
  ];
  for (const key of derived) expect(onTheWire(key, text, partLength)).toEqual([]);
});

it('finds a token that is given away', () => {
  const token = newToken();
  const texts = new Map([
    ['whole', `x ${token} y`],
    ['part', `..${token.slice(20, 20 + partLength).toUpperCase()}..`],
    ['less', token.slice(0, partLength - 1)],
  ]);
  expect(givenAway(token, texts)).toEqual(['whole', 'part']);
});

it('is in nothing that coordinator and workers say or write, errors and debugging included', async () => {
  const [token, wrong] = [newToken(), newToken()];
  writeFileSync(join(cwd, 'wrong-token'), `${wrong}\n`, { mode: 0o600 });
  const { child, port, ended } = await startCoordinatorProcess(
    ['secret.json', '--workers', '2', '--out', 'run'],
    { cwd, env: { ...talkative, LOCKSTEP_TOKEN: token }, onSpawn: (spawned) => children.push(spawned) },
  );
  const older = await olderWorker(port, token);
  expect(older).toContain('LOCKSTEP_VERSION_MISMATCH');
  const refused = await worker(port, ['--token-file', 'wrong-token', '--wait', '0'], {});
  expect(refused.exitCode).toBe(2);
  const malformed = await worker(port, [], { LOCKSTEP_TOKEN: token.slice(1) });
  expect(malformed.exitCode).toBe(2);
  const good = Promise.all([
    worker(port, [], { LOCKSTEP_TOKEN: token }),
    worker(port, [], { LOCKSTEP_TOKEN: token }),
  ]);
  const [first, second] = await good;
  const outcome = await ended;
  expect(doneEvent(outcome).steps).toBe(4);
  expect([first.exitCode, second.exitCode]).toEqual([0, 0]);
  expect(child.spawnargs.join(' ')).not.toContain(token);
  // The debugging output is there: this is what would have shown it.
  expect(first.stderr).toMatch(/^NET \d/m);
  const texts = new Map([
    ['the older worker', older],
    ...said('coordinator', outcome),
    ...said('refused worker', refused),
    ...said('malformed token', malformed),
    ...said('first worker', first),
    ...said('second worker', second),
    ...filesOf(join(cwd, 'run')),
  ]);
  expect([...texts.keys()]).toEqual(expect.arrayContaining(['events.ndjson', 'journal.ndjson']));
  expect(givenAway(token, texts)).toEqual([]);
  expect(givenAway(wrong, texts)).toEqual([]);
});

it('is in its own file alone where the coordinator makes it', async () => {
  const { child, port, ended } = await startCoordinatorProcess(
    ['secret.json', '--workers', '1', '--out', 'made'],
    { cwd, env: talkative, onSpawn: (spawned) => children.push(spawned) },
  );
  const file = join('made', 'token');
  const done = await worker(port, ['--token-file', file], {});
  const outcome = await ended;
  expect(done.exitCode).toBe(0);
  expect(child.exitCode).toBe(0);
  const token = readFileSync(join(cwd, file), 'utf8').trim();
  expect(token).toMatch(/^[0-9a-f]{64}$/);
  const texts = new Map([
    ...said('coordinator', outcome),
    ...said('worker', done),
    ...filesOf(join(cwd, 'made')),
  ]);
  expect(givenAway(token, texts)).toEqual([]);
});

it('stays that of the run when it is taken up again: whoever waits comes back', async () => {
  const file = join(cwd, 'again', 'token');
  const args = ['secret.json', '--workers', '2', '--out', 'again'];
  const onSpawn = (child: ChildProcess): void => void children.push(child);
  const first = await startCoordinatorProcess(args, { cwd, env: {}, onSpawn });
  const token = readFileSync(file, 'utf8');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const waits = worker(first.port, ['--token-file', file], {});
  await new Promise<void>((resolve) => {
    first.child.stdout!.on('data', () => {
      if (first.output().includes('1 of 2 workers are here')) resolve();
    });
  });
  first.child.kill('SIGKILL');
  await first.ended;
  const again = (...more: string[]): Promise<Outcome> =>
    lockstep(['coordinator', ...args, '--listen', `127.0.0.1:${first.port}`, '--json', ...more], { cwd });
  expect(await again()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('add --resume') });
  chmodSync(file, 0o644);
  expect(await again('--resume')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(
      /^error: again\/token: other users may read this token \(mode 644, not 600\)/,
    ),
  });
  chmodSync(file, 0o600);
  const all = [again('--resume'), waits, worker(first.port, ['--token-file', file], {})];
  const [coordinator, ...workers] = await Promise.all(all);
  expect(coordinator!.stdout).toContain('the token of this run, from again/token; workers join by');
  expect(doneEvent(coordinator!).steps).toBe(4);
  expect(workers.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  expect(readFileSync(file, 'utf8')).toBe(token);
});

it('is in nothing that a run with workers of its own says, a worker that fails included', async () => {
  const outcome = await lockstep(['train', 'secret.json', '--workers', '2', '--out', 'own', '--json'], {
    cwd,
    env: talkative,
  });
  expect(doneEvent(outcome).steps).toBe(4);
  // Nobody knows this token: nothing that names it, or carries one, may be there.
  const texts = new Map([...said('train', outcome), ...filesOf(join(cwd, 'own'))]);
  for (const text of texts.values()) {
    expect(text).not.toMatch(/bearer [0-9a-f]/i);
    expect(text).not.toMatch(/LOCKSTEP_TOKEN=/);
  }
  const failed = () =>
    execFileSync(process.execPath, [entry, 'worker', '--join', 'ws://127.0.0.1:1', '--wait', '0'], {
      cwd,
      env: { PATH: process.env.PATH, LOCKSTEP_TOKEN: newToken() },
      stdio: 'pipe',
    });
  expect(failed).toThrow(/cannot reach 127\.0\.0\.1:1/);
});
