// A cluster over TLS, end to end: the same weights as without, client certificates where they are asked for, and one clear
// line for each way in which it can be set up wrongly.

import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type CertificateFiles,
  makeAuthority,
  makeCertificate,
  missingOpenssl,
} from '../support/certificates.ts';
import { doneEvent, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { type CoordinatorProcess, startCoordinatorProcess } from './coordinator-process.ts';

const config = {
  name: 'tls',
  data: { kind: 'digits', train: 256, test: 32 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 8, kernel: 3, stride: 2, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam', learningRate: 0.001 },
  epochs: 2,
  batch: 32,
};
const token = '0123456789abcdef'.repeat(4);
const env = { LOCKSTEP_TOKEN: token };
const reason = missingOpenssl();
const directory = temporaryDirectory();
const cwd = directory.path;
let ours: CertificateFiles;
let mine: CertificateFiles;
let theirs: CertificateFiles;
let other: CertificateFiles;
let runs = 0;
let children: ChildProcess[] = [];

beforeAll(() => {
  writeFileSync(join(cwd, 'tls.json'), JSON.stringify(config));
  if (reason !== null) return;
  ours = makeAuthority(cwd, 'ours');
  theirs = makeAuthority(cwd, 'theirs');
  mine = makeCertificate(cwd, 'mine', 'IP:127.0.0.1', ours);
  other = makeCertificate(cwd, 'other', 'IP:127.0.0.1', theirs);
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

/** Resolves when it listens. */
function coordinator(more: readonly string[]): Promise<CoordinatorProcess> {
  runs += 1;
  return startCoordinatorProcess(['tls.json', '--out', `run-${runs}`, ...more], {
    cwd,
    env,
    onSpawn: (child) => children.push(child),
  });
}

const worker = (url: string, more: readonly string[] = []): Promise<Outcome> =>
  lockstep(['worker', '--join', url, '--threads', '1', '--wait', '0', ...more], { cwd, env });

const served = (): string[] => ['--tls-cert', mine.cert, '--tls-key', mine.key];
const believing = ({ cert }: CertificateFiles): string[] => ['--tls-ca', cert];

const certificateWanted =
  /status 496: it wants a certificate of the authority that its --tls-ca names: give --tls-cert and --tls-key$/;

/** Ends at once with this line and exit code, without a stack trace and without the token. */
function expectTold({ exitCode, stderr }: Outcome, code: number, line: RegExp): void {
  expect(stderr.split('\n').find((text) => text.startsWith('error:')) ?? stderr).toMatch(line);
  expect(exitCode).toBe(code);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stderr).not.toContain(token);
}

describe.skipIf(reason !== null)('over TLS', () => {
  it('two workers with certificates end with the weights of a run without; strangers in between do not', async () => {
    const alone = await lockstep(['train', 'tls.json', '--workers', '0', '--out', 'alone', '--json'], {
      cwd,
      env,
    });
    const { url, ended } = await coordinator([...served(), ...believing(ours), '--workers', '2']);
    expect(url).toMatch(/^wss:\/\//);
    expectTold(await worker(url, believing(ours)), 2, certificateWanted);
    const foreign = ['--tls-cert', other.cert, '--tls-key', other.key];
    expectTold(await worker(url, [...believing(ours), ...foreign]), 2, certificateWanted);
    // Off loopback, and so with TLS of its own or not at all.
    const joined = [...served(), ...believing(ours), '--listen', '0.0.0.0:0'];
    const workers = await Promise.all([worker(url, joined), worker(url, joined)]);
    const outcome = await ended;
    expect(workers.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(doneEvent(outcome).weightsSha256).toBe(doneEvent(alone).weightsSha256);
  });

  it('workers without certificates join a coordinator that asks for none', async () => {
    const { url, ended } = await coordinator([...served(), '--workers', '2']);
    const workers = await Promise.all([worker(url, believing(ours)), worker(url, believing(ours))]);
    expect(workers.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(doneEvent(await ended).steps).toBe(16);
  });

  it('tells what does not fit', async () => {
    const { url, port } = await coordinator(served());
    const where = `cannot connect to 127\\.0\\.0\\.1:${port}: `;
    const unknown = new RegExp(`^error: ${where}its certificate is not of an authority that is known here`);
    expectTold(await worker(url), 2, unknown);
    expectTold(await worker(url, believing(theirs)), 2, unknown);
    expectTold(
      await worker(`wss://localhost:${port}`, believing(ours)),
      2,
      /^error: cannot connect to localhost:\d+: its certificate is for another name/,
    );
    expectTold(
      await worker(`ws://127.0.0.1:${port}`),
      3,
      /^error: (127\.0\.0\.1:\d+) answered by a reset \(ECONNRESET\), not as a plain WebSocket: does it speak TLS\? Then join wss:\/\/\1$/,
    );
    const plain = await coordinator([]);
    expectTold(
      await worker(`wss://127.0.0.1:${plain.port}`, believing(ours)),
      2,
      /does not speak TLS there: use ws:\/\//,
    );
  });

  it('tells what is wrong with the files', async () => {
    const start = (...more: string[]): Promise<Outcome> =>
      lockstep(['coordinator', 'tls.json', '--listen', '127.0.0.1:0', '--out', 'none', ...more], {
        cwd,
        env,
      });
    expectTold(await start('--tls-cert', mine.cert), 2, /--tls-cert and --tls-key belong together/);
    expectTold(
      await start('--tls-cert', 'no.pem', '--tls-key', mine.key),
      2,
      /--tls-cert no\.pem: there is no such file$/,
    );
    expectTold(
      await start('--tls-cert', mine.key, '--tls-key', mine.key),
      2,
      /no PEM block "CERTIFICATE" in it$/,
    );
    expectTold(
      await start('--tls-cert', mine.cert, '--tls-key', other.key),
      2,
      /the key is not that of the certificate$/,
    );
    expectTold(await start(...believing(ours)), 2, /--tls-ca needs --tls-cert and --tls-key/);
  });
});

it('the token does not go over a network in clear', async () => {
  expectTold(await worker('ws://192.0.2.1:7070'), 2, /would send the run over the network in clear/);
});
