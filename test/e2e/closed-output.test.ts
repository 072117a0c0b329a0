// Readers that go: `lockstep train ... | head`, a terminal that is gone. A run whose results nobody reads any more stops as at a
// signal, with a checkpoint; one whose log nobody reads goes on. Real pipes of a real shell.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { doneEvent, entry, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';

const config = {
  name: 'piped',
  data: { kind: 'digits', train: 2_000, test: 100 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'flatten' },
      { type: 'dense', units: 64 },
      { type: 'relu' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.05 },
  batch: 32,
  epochs: 40,
};

let directory = temporaryDirectory();
beforeEach(() => {
  directory = temporaryDirectory();
  writeFileSync(join(directory.path, 'piped.json'), JSON.stringify(config));
});
afterEach(() => directory.remove());

const train = (args: readonly string[]): Promise<Outcome> =>
  lockstep(['train', 'piped.json', ...args], { cwd: directory.path });

/** Of the first command of the pipe. */
function inShell(args: string, pipe: string): Promise<Outcome> {
  const line = `"${process.execPath}" "${entry}" train piped.json ${args} ${pipe}; exit \${PIPESTATUS[0]}`;
  return lockstep([], { cwd: directory.path, command: ['bash', '-c', line] });
}

it.each([0, 2])(
  'stops when nobody reads the events any more (%i workers), and goes on later',
  async (workers) => {
    const quiet = doneEvent(await train(['--workers', '0', '--json', '--out', 'quiet']));
    const piped = await inShell(`--workers ${workers} --json --out run`, '| head -4');
    expect(piped.exitCode).toBe(141);
    expect(piped.stderr).toContain('nobody reads stdout any more');
    expect(existsSync(join(directory.path, 'run', 'coordinator.lock'))).toBe(false);
    const resumed = await train(['--workers', `${workers}`, '--json', '--out', 'run', '--resume']);
    const { steps, weightsSha256 } = doneEvent(resumed);
    expect({ steps, weightsSha256 }).toEqual({ steps: quiet.steps, weightsSha256: quiet.weightsSha256 });
  },
);

it.each([0, 2])('goes on when nobody reads the log (%i workers)', async (workers) => {
  const piped = await inShell(`--workers ${workers} --out run`, '2>&1 >done.txt | head -1');
  expect(piped.exitCode).toBe(0);
  const again = await train(['--json', '--out', 'run', '--resume']);
  expect(doneEvent(again).steps).toBe(2_520);
});

it.each(['native', 'wasm'])(
  'a second signal ends it at once, while its lanes compute (%s)',
  async (backend) => {
    const wide = [{ type: 'flatten' }, { type: 'dense', units: 4_096 }, { type: 'dense', units: 10 }];
    const slow = { ...config, model: { ...config.model, layers: wide }, batch: 2_000, epochs: 1_000 };
    writeFileSync(join(directory.path, 'piped.json'), JSON.stringify(slow));
    const kinds: NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];
    const wanted = ['"event":"step"', 'SIGINT: finishing'];
    const outcome = await lockstep(['train', 'piped.json', '--json', '--out', 'run', '--backend', backend], {
      cwd: directory.path,
      onOutput: (text, kill) => {
        if (kinds.length === 0 || !text.includes(wanted[2 - kinds.length]!)) return;
        kill(kinds.pop()!);
      },
    });
    expect(outcome.exitCode).toBe(143);
  },
);
