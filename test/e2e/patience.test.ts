// Workers that are started while no coordinator is there: they wait for it, for a while, and say so once.

import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deferred } from '../../src/platform/deferred.ts';
import { doneEvent, freePort, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { startCoordinatorProcess } from './coordinator-process.ts';

const directory = temporaryDirectory();
const cwd = directory.path;
const env = { LOCKSTEP_TOKEN: 'c0ffee00'.repeat(8) };
const config = {
  name: 'patience',
  data: { kind: 'digits', train: 64, test: 0 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  batch: 32,
  steps: 4,
};
beforeAll(() => writeFileSync(join(cwd, 'small.json'), JSON.stringify(config)));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  directory.remove();
});

const waits = /^cannot reach 127\.0\.0\.1:\d+ \(ECONNREFUSED\): .* It is waited for, for up to \d+ seconds$/m;

/** `onWait` is called when the worker says that it waits. */
function worker(
  port: number,
  more: readonly string[],
  onWait: (kill: (signal: NodeJS.Signals) => void) => void = () => undefined,
): Promise<Outcome> {
  const args = ['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1', ...more];
  let waiting = false;
  return lockstep(args, {
    cwd,
    env,
    onOutput: (text, kill) => {
      if (waiting || !waits.test(text)) return;
      waiting = true;
      onWait(kill);
    },
  });
}

it('a worker that was started first joins when the coordinator is there', async () => {
  const port = await freePort();
  const args = ['coordinator', 'small.json', '--listen', `127.0.0.1:${port}`, '--out', 'first', '--json'];
  const begun = deferred<Outcome>();
  const ended = await worker(
    port,
    [],
    () => void lockstep(args, { cwd, env }).then(begun.resolve, begun.reject),
  );
  expect(ended.exitCode, ended.stderr).toBe(0);
  expect(ended.stderr.split('\n').filter((line) => waits.test(line))).toHaveLength(1);
  expect(ended.stderr).toMatch(/^connected to ws:\/\/127\.0\.0\.1:\d+ as worker \S+\nthe run is over$/m);
  expect(doneEvent(await begun.promise).steps).toBe(4);
});

/** Before a coordinator: resets the first `breaks` connections when the worker says its first word behind the upgrade. */
async function breakingProxy(port: number, breaks: number): Promise<{ server: Server; port: number }> {
  let connections = 0;
  const server = createServer((worker: Socket) => {
    connections += 1;
    const breaksHere = connections <= breaks;
    const coordinator = connect(port, '127.0.0.1');
    const reset = (): void => void [worker, coordinator].map((socket) => socket.resetAndDestroy());
    for (const socket of [worker, coordinator]) socket.on('error', reset).on('end', () => reset());
    let isUpgraded = false;
    worker.on('data', (bytes) => (isUpgraded && breaksHere ? reset() : coordinator.write(bytes)));
    coordinator.on('data', (bytes) => {
      isUpgraded = true;
      worker.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as { port: number }).port };
}

it('a worker whose connection breaks before it was welcomed dials again, as long as it has patience', async () => {
  const onSpawn = (child: ChildProcess): void => void children.push(child);
  const stopping = ['small.json', '--out', 'broken', '--stop-after', '3'];
  const coordinator = await startCoordinatorProcess(stopping, { cwd, env, onSpawn });
  const flaky = await breakingProxy(coordinator.port, 2);
  const never = await breakingProxy(coordinator.port, Infinity);
  try {
    const impatient = await worker(never.port, ['--wait', '1']);
    expect(impatient.exitCode, impatient.stderr).toBe(3);
    expect(impatient.stderr).toMatch(/^error: .* breaks before the coordinator answers/m);
    const ended = await worker(flaky.port, []);
    expect(ended.exitCode, ended.stderr).toBe(0);
    expect(ended.stderr).toMatch(/^the run was stopped at step 3 by its coordinator$/m);
    expect(doneEvent(await coordinator.ended).steps).toBe(3);
  } finally {
    flaky.server.close();
    never.server.close();
  }
});

it('says what is wrong when none comes', async () => {
  const outcome = await worker(await freePort(), ['--wait', '1']);
  expect(outcome.exitCode).toBe(3);
  expect(outcome.seconds).toBeGreaterThan(0.9);
  const errors = outcome.stderr.split('\n').filter((line) => line.startsWith('error: '));
  expect(errors).toEqual([
    expect.stringMatching(/: is the coordinator running, and is 127\.0\.0\.1:\d+ its address\?$/),
  ]);
});

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('ends at once on %s', async (signal, exitCode) => {
  let killedMs = Infinity;
  const outcome = await worker(await freePort(), [], (kill) => {
    killedMs = performance.now();
    kill(signal);
  });
  expect(performance.now() - killedMs).toBeLessThan(5_000);
  expect(outcome.exitCode, outcome.stderr).toBe(exitCode);
  expect(outcome.stderr).not.toMatch(/^error: /m);
});
