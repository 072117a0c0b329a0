// Many runs in one process, as a program that searches for settings makes them: memory and timers go with each run, and the
// process ends by itself as soon as its work is done.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { lockstep, repositoryRoot, temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
afterAll(() => directory.remove());

/** The inputs of one run take 3.1 MB: a run that stays in memory is seen. */
const program = `
  import { createHook } from 'node:async_hooks';
  import { train } from ${JSON.stringify(pathToFileURL(join(repositoryRoot, 'dist', 'index.js')).href)};

  const timers = new Map();
  createHook({
    init: (id, type) => void (type === 'Timeout' && timers.set(id, new Error().stack)),
    destroy: (id) => void timers.delete(id),
  }).enable();
  const config = {
    name: 'many',
    data: { kind: 'digits', train: 1000, test: 10 },
    model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
    loss: 'softmaxCrossEntropy',
    optimizer: { type: 'sgd', learningRate: 0.1 },
    batch: 200,
    steps: 2,
  };
  const controller = new AbortController();
  const signal = { stopRequested: false, listeners: [], onStop(listener) { this.listeners.push(listener); } };
  const retained = () => {
    gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const bytes = [];
  for (let run = 0; run < 36; run += 1) {
    const kind = run % 3 === 0 ? { signal: controller.signal } : run % 3 === 1 ? { signal } : {};
    const workers = run % 9 === 8 ? 2 : 0;
    await train(config, { ...kind, workers, threads: 1, out: 'run-' + run });
    await settle();
    bytes.push(retained());
  }
  await settle();
  console.log(JSON.stringify({ bytes, timers: [...timers.values()], active: process.getActiveResourcesInfo() }));
  process.on('exit', () => console.log(JSON.stringify({ exitMs: performance.now() - endedMs })));
  const endedMs = performance.now();
`;

it('keeps nothing of 36 runs: no memory, no timer, and no process', async () => {
  const command = [process.execPath, '--expose-gc', '--input-type=module', '-e', program] as const;
  const { stdout, stderr, exitCode } = await lockstep([], { cwd: directory.path, command: [...command] });
  expect(exitCode, stderr).toBe(0);
  const [report, exit] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(report.timers).toEqual([]);
  expect(report.active.filter((each: string) => each !== 'PipeWrap')).toEqual([]);
  const perRun = (report.bytes.at(-1) - report.bytes[11]) / 24;
  expect(perRun, `bytes after each run: ${report.bytes}`).toBeLessThan(100_000);
  expect(exit.exitMs).toBeLessThan(500);
});
