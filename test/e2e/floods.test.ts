// Strangers that flood the listeners of a run, of the coordinator and of a worker, with and without TLS, and under a low limit
// of open files: memory hardly grows, steps keep coming, and the run ends with the hash of a quiet one.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Token } from '../../proto/transport/token.ts';
import {
  type CertificateFiles,
  makeAuthority,
  makeCertificate,
  missingOpenssl,
} from '../support/certificates.ts';
import {
  commandLine,
  doneEvent,
  freePort,
  lockstep,
  type Outcome,
  temporaryDirectory,
  withOpenFiles,
} from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

const config = {
  name: 'floods',
  data: { kind: 'digits', train: 1_000, test: 10 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'flatten' },
      { type: 'dense', units: 128 },
      { type: 'relu' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.01 },
  epochs: 100_000,
  batch: 250,
};
const token = Token.generate();
const env = { LOCKSTEP_TOKEN: token.reveal() };
const attackMs = 800;
const lookMs = 50;
/** What an attack may add to the resident memory of the process attacked. */
const growthBytesMax = 64 * 2 ** 20;
const hasProc = existsSync('/proc/self/status');

const directory = temporaryDirectory();
const cwd = directory.path;
let children: ChildProcess[] = [];
let runs = 0;

beforeAll(() => writeFileSync(join(cwd, 'floods.json'), JSON.stringify(config)));
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
});
afterAll(() => directory.remove());

const onSpawn = (child: ChildProcess): void => void children.push(child);

interface Target {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

interface Run {
  readonly targets: readonly Target[];
  steps(): number;
  /** Stops the run; resolves with what the coordinator and its workers said. */
  stop(): Promise<readonly [Outcome, ...Outcome[]]>;
}

/** A coordinator and two workers, taking steps. */
async function startRun(
  more: readonly string[],
  workerMore: readonly string[],
  openFiles?: number,
): Promise<Run> {
  runs += 1;
  const args = ['floods.json', '--workers', '2', '--out', `run-${runs}`, ...more];
  const settings = { cwd, env, onSpawn, ...(openFiles === undefined ? {} : { openFiles }) };
  const { child, port, url, ended, output } = await startCoordinatorProcess(args, settings);
  const workerPort = await freePort();
  const command = openFiles === undefined ? commandLine : withOpenFiles(openFiles);
  let workerPid = 0;
  const worker = (...own: readonly string[]): Promise<Outcome> =>
    lockstep(['worker', '--join', url, '--threads', '1', ...workerMore, ...own], {
      ...{ cwd, env, command },
      onSpawn: (spawned) => {
        onSpawn(spawned);
        workerPid = spawned.pid!;
      },
    });
  const workers = [worker(), worker('--listen', `127.0.0.1:${workerPort}`)];
  const steps = (): number => Number(/.*"event":"step","step":(\d+)/s.exec(output().slice(-8_000))?.[1] ?? 0);
  while (steps() === 0) await once(child.stdout!, 'data');
  return {
    targets: [
      { name: 'coordinator', port, pid: child.pid! },
      { name: 'worker', port: workerPort, pid: workerPid },
    ],
    steps,
    stop: async () => {
      child.kill('SIGINT');
      return Promise.all([ended, ...workers]);
    },
  };
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

/** One kind of attack; resolves with how much the target's memory grew at most, in bytes, and steps taken meanwhile. */
async function attack(run: Run, target: Target, kind: string, hasTls: boolean): Promise<void> {
  const args = [String(target.port), ...(hasTls ? ['tls'] : [])];
  const attackers = fork(fileURLToPath(new URL('attackers.mjs', import.meta.url)), args);
  onSpawn(attackers);
  await once(attackers, 'message');
  const before = { bytes: residentBytes(target.pid), steps: run.steps() };
  attackers.send(kind);
  let most = 0;
  const untilMs = performance.now() + attackMs;
  while (performance.now() < untilMs) {
    most = Math.max(most, residentBytes(target.pid));
    await pass(lookMs);
  }
  attackers.send('stop');
  const [{ ended }] = (await once(attackers, 'message')) as [{ ended: number }];
  attackers.disconnect();
  const steps = run.steps() - before.steps;
  const grown = most - before.bytes;
  console.info(
    `${kind}${hasTls ? ' over TLS' : ''} at the ${target.name}: ${(grown / 2 ** 20).toFixed(0)} MiB more, ${steps} steps, ` +
      `${ended} connections ended`,
  );
  expect(grown, kind).toBeLessThan(growthBytesMax);
  expect(steps, kind).toBeGreaterThan(0);
}

/** The run ends by order, and with the weights that one process computes of as many steps. */
async function expectQuietEnd(run: Run): Promise<void> {
  const [outcome, ...workers] = await run.stop();
  expect(workers.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  const { steps, weightsSha256, stopped } = doneEvent(outcome);
  expect(stopped).toBe(true);
  const args = ['train', 'floods.json', '--workers', '0', '--stop-after', `${steps}`, '--json'];
  const quiet = await lockstep([...args, '--out', `quiet-${runs}`], { cwd });
  expect(doneEvent(quiet).weightsSha256).toBe(weightsSha256);
}

const kinds = [
  'pipelined',
  'upgrades',
  'endless',
  'bodies',
  'halfOpen',
  'garbage',
  'storm',
  'crowd',
] as const;

describe.skipIf(!hasProc)('a flood of strangers', () => {
  it('costs neither memory nor progress', async () => {
    const run = await startRun([], []);
    for (const kind of kinds) for (const target of run.targets) await attack(run, target, kind, false);
    await expectQuietEnd(run);
  });

  const openssl = missingOpenssl();
  it.skipIf(openssl !== null)(
    `costs neither over TLS, from strangers without a certificate${openssl === null ? '' : ` (skipped: ${openssl})`}`,
    async () => {
      const authority: CertificateFiles = makeAuthority(cwd, 'authority');
      const { cert, key } = makeCertificate(cwd, 'machine', 'IP:127.0.0.1', authority);
      const tls = ['--tls-ca', authority.cert, '--tls-cert', cert, '--tls-key', key];
      const run = await startRun(tls, tls);
      for (const kind of ['pipelined', 'bodies', 'halfOpen', 'garbage', 'idle']) {
        for (const target of run.targets) await attack(run, target, kind, true);
      }
      await expectQuietEnd(run);
    },
  );

  it('leaves the files that a run needs where the limit of open files is low', async () => {
    const run = await startRun([], [], 128);
    for (const target of run.targets) await attack(run, target, 'idle', false);
    await expectQuietEnd(run);
  });
});

it('tells in one line that the limit of open files is too low', async () => {
  const few = [
    [40, ['coordinator', '--listen', '127.0.0.1:0']],
    [40, ['train', '--workers', '2']],
    [24, ['train', '--workers', '0', '--threads', '4']],
    [22, ['train', '--workers', '0', '--threads', '1']],
  ] as const;
  for (const [which, [limit, [name, ...args]]] of few.entries()) {
    const outcome = await lockstep([name, 'floods.json', '--out', `few-${which}`, ...args], {
      ...{ cwd, env, command: withOpenFiles(limit) },
    });
    expect(outcome.stderr).toMatch(/^error: .*raise the limit, for instance by ulimit -n 1024\n$/);
    expect(outcome.stderr).not.toContain('bug');
    expect(outcome.exitCode).toBeGreaterThan(0);
  }
});
