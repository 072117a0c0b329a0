// Signals in a real process of its own: the first asks, the second ends, a doubled Ctrl-C is one.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const built = join(
  fileURLToPath(new URL('../../../..', import.meta.url)),
  'dist',
  'deploy',
  'cli',
  'stop-signal.js',
);

/** Says "ready", then "asked" when the run is asked to stop, and only ends by itself where `endsOnStop`. */
function program(endsOnStop: boolean): string {
  return `
    import { ProcessStopSignal } from ${JSON.stringify(built)};
    const signal = new ProcessStopSignal((line) => console.log(line));
    const idle = setInterval(() => {}, 1000);
    signal.onStop(() => {
      console.log('asked');
      if (${endsOnStop}) {
        clearInterval(idle);
        process.exitCode = signal.exitCode;
        signal.dispose();
      }
    });
    console.log('ready');`;
}

async function run(
  endsOnStop: boolean,
  onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void,
) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(endsOnStop)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  let told = 0;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const lines = text.split('\n').slice(0, -1);
    for (; told < lines.length; told += 1) onLine(lines[told]!, (signal) => void child.kill(signal));
  });
  const [exitCode] = await once(child, 'close');
  return { exitCode, lines: text.trimEnd().split('\n') };
}

describe('ProcessStopSignal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('asks the run to stop at %s, exit code %d', async (signal, exitCode) => {
    const outcome = await run(true, (line, kill) => {
      if (line === 'ready') kill(signal);
    });
    expect(outcome.exitCode).toBe(exitCode);
    expect(outcome.lines).toEqual([
      'ready',
      `${signal}: finishing the step in flight and writing a checkpoint; once more to exit at once`,
      'asked',
    ]);
  });

  it('ends the process at the second signal', async () => {
    const outcome = await run(false, (line, kill) => {
      if (line === 'ready') kill('SIGINT');
      if (line === 'asked') kill('SIGTERM');
    });
    expect(outcome.exitCode).toBe(143);
  });

  it('takes two of one kind in one moment for one, as npm passes a Ctrl-C on', async () => {
    const asked: string[] = [];
    const outcome = await run(true, (line, kill) => {
      asked.push(line);
      if (line !== 'ready') return;
      kill('SIGINT');
      kill('SIGINT');
    });
    expect(outcome.exitCode).toBe(130);
    expect(asked).toContain('asked');
  });
});
