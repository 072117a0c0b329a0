// Runs in a control group that is too small for them: each ends with one line that has the numbers, and the system has nothing
// to kill. And what a run really takes, held against the estimate.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { needsOf, workerPrograms } from '../../coordinator/checks/memory.ts';
import { planRun } from '../../coordinator/run-plan.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { loadDataset } from '../../src/data/load.ts';
import { totalOf } from '../../src/engine/memory-budget.ts';
import { doneEvent, entry, freePort, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';
import { ControlGroup } from './control-group.ts';

const directory = temporaryDirectory();
const cwd = directory.path;
afterAll(() => directory.remove());
const missing = ControlGroup.unavailable();
const mebibyte = 2 ** 20;
const token = { LOCKSTEP_TOKEN: '0123456789abcdef'.repeat(4) };

const config = (units: number, type: string) => ({
  data: { kind: 'synthetic', train: 300, shape: [784], classes: 10 },
  model: {
    input: [784],
    layers: [
      { type: 'dense', units },
      { type: 'relu' },
      { type: 'dense', units },
      { type: 'relu' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type },
  steps: 4,
});
writeFileSync(join(cwd, 'wide.json'), JSON.stringify(config(3000, 'adam')));

async function inGroup(
  limitMebibytes: number,
  args: readonly string[],
): Promise<Outcome & { peakBytes: number }> {
  const group = ControlGroup.make(limitMebibytes * mebibyte);
  let peakBytes = 0;
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, group.bytes);
  }, 5);
  try {
    const outcome = await lockstep(args, {
      cwd,
      env: token,
      command: group.command(process.execPath, entry),
    });
    expect(group.killed, outcome.stderr).toBe(0);
    return { ...outcome, peakBytes };
  } finally {
    clearInterval(watch);
    group.remove();
  }
}

/** One line, exit code 1, with the numbers. */
function expectRefusal({ exitCode, stderr }: Outcome, what: string): void {
  const numbers = new RegExp(
    `^error: ${what} needs [\\d.]+ [MG]B of memory \\(.*\\), but [\\d.]+ [MG]B of the [\\d.]+ [MG]B that its control group allows are available: use `,
  );
  const errors = stderr.split('\n').filter((line) => line.startsWith('error: '));
  expect(errors, stderr).toEqual([expect.stringMatching(numbers)]);
  expect(exitCode).toBe(1);
}

describe.skipIf(missing !== null)(
  `in a small control group${missing === null ? '' : ` (skipped: ${missing})`}`,
  () => {
    it.each([0, 2])(
      'train with %i workers says before its first step that it does not fit',
      async (workers) => {
        const outcome = await inGroup(300, [
          'train',
          'wide.json',
          '--workers',
          String(workers),
          '--json',
          '--out',
          `no-${workers}`,
        ]);
        expectRefusal(outcome, 'the run');
        expect(outcome.stdout).not.toContain('"start"');
        expect(outcome.peakBytes).toBeLessThan(150 * mebibyte);
      },
    );

    it('train fits where there is enough, to the bytes of any other run; evaluate and predict say what they need', async () => {
      const trained = await inGroup(1200, ['train', 'wide.json', '--json', '--out', 'run']);
      const elsewhere = await lockstep(['train', 'wide.json', '--json', '--out', 'other'], { cwd });
      expect(doneEvent(trained).weightsSha256).toBe(doneEvent(elsewhere).weightsSha256);
      for (const command of ['evaluate', 'predict']) {
        // Too little for the checkpoint, too little for the arena beside it, enough.
        expectRefusal(
          await inGroup(110, [command, 'run', '--split', 'train']),
          'run/checkpoints/step-000004.safetensors',
        );
        expectRefusal(await inGroup(205, [command, 'run', '--split', 'train']), 'the model');
        expect((await inGroup(400, [command, 'run', '--split', 'train'])).exitCode).toBe(0);
      }
    });

    it('a worker by itself says that it does not fit, before it draws a weight', async () => {
      const port = await freePort();
      const coordinator = lockstep(
        ['coordinator', 'wide.json', '--listen', `127.0.0.1:${port}`, '--out', 'led'],
        { cwd, env: token },
      );
      const worker = await inGroup(250, ['worker', '--join', `ws://127.0.0.1:${port}`, '--threads', '1']);
      expectRefusal(worker, String.raw`worker \S+ failed aligning: this worker`);
      expect((await coordinator).exitCode).not.toBe(0);
    });

    it.each([
      [2500, 'sgd', 0],
      [2500, 'adam', 0],
      [2500, 'adam', 2],
    ] as const)(
      'the estimate is near what a run takes: %i units, %s, %i workers',
      async (units, optimizer, workers) => {
        writeFileSync(join(cwd, 'measured.json'), JSON.stringify(config(units, optimizer)));
        const parsed = parseConfig(config(units, optimizer), 'measured');
        const dataset = await loadDataset(parsed.data, { directory: '.' });
        const plan = planRun({ config: parsed, dataset, out: 'unused', workers, stopAfterStep: undefined });
        const { peakBytes, exitCode } = await inGroup(8000, [
          'train',
          'measured.json',
          '--workers',
          String(workers),
          '--threads',
          '1',
          '--out',
          `m-${units}-${optimizer}-${workers}`,
        ]);
        expect(exitCode).toBe(0);
        // Node.js itself is there before the estimate is made.
        const estimate = totalOf(needsOf(plan, workerPrograms(plan, 1))) + 42 * mebibyte;
        console.info(
          `${units} ${optimizer} ${workers}: ${Math.round(peakBytes / mebibyte)} MiB of ${Math.round(estimate / mebibyte)} estimated`,
        );
        expect(peakBytes / estimate).toBeGreaterThan(0.7);
        expect(peakBytes / estimate).toBeLessThan(1.15);
      },
    );
  },
);

it('data that cannot fit is refused before it is drawn', async () => {
  const huge = { ...config(10, 'sgd'), data: { kind: 'synthetic', train: 1e9, shape: [784], classes: 10 } };
  writeFileSync(join(cwd, 'huge.json'), JSON.stringify(huge));
  const { exitCode, stderr } = await lockstep(['train', 'huge.json'], { cwd });
  expect(stderr).toMatch(/^error: the data needs 6280\.0 GB of memory/);
  expect(exitCode).toBe(1);
});
