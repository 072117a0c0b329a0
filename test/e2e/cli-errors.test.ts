// Everything a user can get wrong on the command line: one clear line, the right exit code, no stack trace, at once.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockstep, type Outcome, temporaryDirectory } from './command-line.ts';

const secondsMax = 10;
const directory = temporaryDirectory();

/** A config that would train, changed in one place. */
function config(change: Record<string, unknown> = {}): string {
  return JSON.stringify({
    name: 'tiny',
    data: { kind: 'digits', train: 64, test: 16 },
    model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
    loss: 'softmaxCrossEntropy',
    metrics: ['accuracy'],
    optimizer: { type: 'sgd', learningRate: 0.1 },
    batch: 16,
    epochs: 1,
    shards: 8,
    ...change,
  });
}

const layers = (...list: unknown[]) => ({ model: { input: [28, 28, 1], layers: list } });
const idx = { data: { kind: 'idx', train: { images: 'images', labels: 'labels' } } };

/** An IDX file of bytes. */
function idxFile(shape: number[], values: number[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint32(0, 0x0800 + shape.length);
  shape.forEach((side, index) => {
    header.setUint32(4 + 4 * index, side);
  });
  return Uint8Array.from([...new Uint8Array(header.buffer), ...values]);
}

beforeAll(() => {
  const write = (name: string, content: string | Uint8Array): void => {
    const path = join(directory.path, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
  };
  write('tiny.json', config());
  write('syntax.json', '{\n  "batch": 3,\n}');
  write('key.json', config({ lerningRate: 1 }));
  write('optimizer.json', config({ optimizer: { type: 'adan', learningRate: 0.1 } }));
  write('batch.json', config({ batch: 0 }));
  mkdirSync(join(directory.path, 'folder.json'));
  write('shape.json', config(layers({ type: 'dense', units: 10 })));
  write('units.json', config(layers({ type: 'flatten' }, { type: 'dense', units: 7 })));
  write(
    'window.json',
    config(
      layers(
        { type: 'conv2d', filters: 2, kernel: 40, padding: 'valid' },
        { type: 'flatten' },
        { type: 'dense', units: 10 },
      ),
    ),
  );
  write('missing/idx.json', config(idx));
  const images = idxFile([2, 28, 28], new Array(2 * 28 * 28).fill(7));
  write('truncated/idx.json', config(idx));
  write('truncated/images', images.subarray(0, 100));
  write('truncated/labels', idxFile([2], [1, 2]));
  write('mislabelled/idx.json', config(idx));
  write('mislabelled/images', images);
  write('mislabelled/labels', idxFile([3], [1, 2, 3]));
  write('range/idx.json', config(idx));
  write('range/images.gz', gzipSync(images));
  write('range/labels', idxFile([2], [1, 12]));
  write('taken/old/checkpoints/step-000001.safetensors', '');
  write('empty-token', '\n');
  mkdirSync(join(directory.path, 'token-folder'));
});
afterAll(() => directory.remove());

interface Case {
  readonly what: string;
  readonly args: readonly string[];
  readonly exitCode: number;
  /** The whole of stderr without its newline, or a pattern of it. */
  readonly says: string | RegExp;
}

const train = (...args: string[]): string[] => ['train', ...args];

const cases: readonly Case[] = [
  {
    what: 'an unknown command',
    args: ['trian', 'tiny.json'],
    exitCode: 2,
    says: "error: unknown command 'trian' (Did you mean train?)",
  },
  {
    what: 'an unknown option',
    args: train('tiny.json', '--worker', '2'),
    exitCode: 2,
    says: "error: unknown option '--worker' (Did you mean --workers?)",
  },
  { what: 'no config', args: train(), exitCode: 2, says: "error: missing required argument 'config'" },
  {
    what: 'an option without its value',
    args: train('tiny.json', '--workers'),
    exitCode: 2,
    says: "error: option '--workers <count>' argument missing",
  },
  {
    what: 'a negative number of workers',
    args: train('tiny.json', '--workers', '-1'),
    exitCode: 2,
    says: "error: option '--workers <count>' argument '-1' is invalid. It must be a whole number from 0 to 256.",
  },
  {
    what: 'no thread',
    args: train('tiny.json', '--threads', '0'),
    exitCode: 2,
    says: "error: option '--threads <count>' argument '0' is invalid. It must be a whole number from 1 to 1024.",
  },
  {
    what: 'an unknown backend',
    args: train('tiny.json', '--backend', 'gpu'),
    exitCode: 2,
    says: "error: option '--backend <name>' argument 'gpu' is invalid. Allowed choices are native, wasm, reference.",
  },
  {
    what: 'steps and epochs',
    args: train('tiny.json', '--steps', '3', '--epochs', '1'),
    exitCode: 2,
    says: "error: option '--steps <count>' cannot be used with option '--epochs <count>'",
  },
  {
    what: 'more workers than shards',
    args: train('tiny.json', '--workers', '9'),
    exitCode: 2,
    says:
      'error: 9 workers need at least 9 shards, but the run has 8: use fewer, ' +
      'or set shards to 9 in the config or by --shards (this changes the result)',
  },
  {
    what: 'a config that is not there, with the near one',
    args: train('tyni.json'),
    exitCode: 2,
    says: 'error: tyni.json: cannot read the config: there is no such file; did you mean tiny.json?',
  },
  {
    what: 'a config that is not there, with none but its extension near',
    args: train('nope.json'),
    exitCode: 2,
    says: 'error: nope.json: cannot read the config: there is no such file',
  },
  {
    what: 'JSON that is none',
    args: train('syntax.json'),
    exitCode: 2,
    says: /^error: syntax\.json:3:1: not valid JSON: /,
  },
  { what: 'an unknown key', args: train('key.json'), exitCode: 2, says: /^error: key\.json: .*lerningRate/ },
  {
    what: 'an unknown optimizer',
    args: train('optimizer.json'),
    exitCode: 2,
    says: /^error: optimizer\.json: optimizer\.type.*"adan".*adam/,
  },
  {
    what: 'a batch of nothing',
    args: train('batch.json'),
    exitCode: 2,
    says: 'error: batch.json: batch: must be at least 1, got 0',
  },
  {
    what: 'a shape that a layer cannot take',
    args: train('shape.json'),
    exitCode: 2,
    says: /^error: model\.layers\[0\]: dense layer "dense1" .*\[28, 28, 1\]/,
  },
  {
    what: 'a window larger than its image',
    args: train('window.json'),
    exitCode: 2,
    says: /^error: model\.layers\[0\]: conv2d layer "conv1" .*40/,
  },
  {
    what: 'fewer outputs than classes',
    args: train('units.json'),
    exitCode: 2,
    says: /^error: .*(label|class).*7/,
  },
  {
    what: 'data that is not there',
    args: train('missing/idx.json'),
    exitCode: 2,
    says: 'error: missing/images: there is no such file, nor one with .gz; name its directory with --data DIR',
  },
  {
    what: 'a directory of data for a config without files',
    args: train('tiny.json', '--data', 'nosuch'),
    exitCode: 2,
    says: 'error: --data nosuch: the data of this config (digits) is made by the program, not read from files; leave out --data',
  },
  {
    what: 'truncated data',
    args: train('truncated/idx.json'),
    exitCode: 2,
    says: /^error: truncated\/images: is truncated: the header says 2 x 28 x 28 values/,
  },
  {
    what: 'labels of other images',
    args: train('mislabelled/idx.json'),
    exitCode: 2,
    says: 'error: mislabelled/labels: has 3 labels, but mislabelled/images has 2 images',
  },
  {
    what: 'a label out of range',
    args: train('range/idx.json'),
    exitCode: 2,
    says: /^error: .*label 12, but the model has 10/,
  },
  {
    what: 'the directory of another run',
    args: train('tiny.json', '--out', 'taken/old'),
    exitCode: 2,
    says: 'error: taken/old holds a run already: add --resume to go on with it, or give another --out',
  },
  {
    what: 'a file in place of a directory',
    args: train('tiny.json', '--out', 'tiny.json'),
    exitCode: 2,
    says: 'error: --out tiny.json: tiny.json is not a directory that can be read',
  },
  {
    what: 'an --out where nothing can be made',
    args: train('tiny.json', '--out', '/dev/null/run'),
    exitCode: 2,
    says: 'error: --out /dev/null/run: /dev/null is not a directory that can be read',
  },
  {
    what: 'an --out in a file system that takes no directories',
    args: train('tiny.json', '--out', '/proc/run/a'),
    exitCode: 1,
    says: /^error: --out \/proc\/run\/a: cannot be written to \(E[A-Z]+\); name another place with --out$/,
  },
  {
    what: 'a directory for a config',
    args: train('folder.json'),
    exitCode: 2,
    says: 'error: folder.json: cannot read the config: it is a directory',
  },
  {
    what: 'nothing to resume',
    args: train('tiny.json', '--resume'),
    exitCode: 2,
    says: 'error: runs/tiny: there is no run to resume; leave out --resume to start one',
  },
  {
    what: 'a stop beyond the end',
    args: train('tiny.json', '--stop-after', '5'),
    exitCode: 2,
    says: 'error: --stop-after 5 lies beyond the end of the run, which has 4 steps',
  },
  {
    what: 'an address open to others',
    args: ['coordinator', 'tiny.json', '--listen', '0.0.0.0:0'],
    exitCode: 2,
    says: /^error: 0\.0\.0\.0 can be reached by other machines and the traffic is not encrypted: add --insecure/,
  },
  {
    what: 'an address that is none',
    args: ['coordinator', 'tiny.json', '--listen', 'here:there'],
    exitCode: 2,
    says: /^error: option '--listen <host:port>' argument 'here:there' is invalid\. It must be HOST:PORT/,
  },
  {
    what: 'an address of a worker that nobody can dial',
    args: ['worker', '--join', '127.0.0.1:1', '--advertise', '0.0.0.0:7071'],
    exitCode: 2,
    says:
      "error: option '--advertise <host:port>' argument '0.0.0.0:7071' is invalid. " +
      'It must be an address that the other workers can dial, not that of any.',
  },
  {
    what: 'an empty token file',
    args: ['worker', '--join', '127.0.0.1:1', '--token-file', 'empty-token'],
    exitCode: 2,
    says: 'error: --token-file empty-token: the file is empty',
  },
  {
    what: 'a directory for a token file',
    args: ['worker', '--join', '127.0.0.1:1', '--token-file', 'token-folder'],
    exitCode: 2,
    says: 'error: --token-file token-folder: is a directory; name the file with the token in it',
  },
  {
    what: 'an --out of an unset variable',
    args: train('tiny.json', '--out', ''),
    exitCode: 2,
    says: "error: option '--out <directory>' argument '' is invalid. It must not be empty.",
  },
  {
    what: 'a worker without a token',
    args: ['worker', '--join', '127.0.0.1:1'],
    exitCode: 2,
    says: 'error: a worker needs the token of its coordinator: give --token-file FILE, or set LOCKSTEP_TOKEN',
  },
  {
    what: 'a worker without an address',
    args: ['worker'],
    exitCode: 2,
    says: "error: required option '--join <url>' not specified",
  },
  {
    what: 'a checkpoint that is not there',
    args: ['evaluate', 'runs/none'],
    exitCode: 2,
    says: 'error: runs/none: there is no such file',
  },
  {
    what: 'a file that is no checkpoint',
    args: ['evaluate', 'empty-token'],
    exitCode: 2,
    says: 'error: empty-token: is no checkpoint',
  },
  {
    what: 'a file that is nothing of ours',
    args: ['inspect', fileURLToPath(new URL('../../README.md', import.meta.url))],
    exitCode: 2,
    says: /^error: .*README\.md: is neither a checkpoint nor a config$/,
  },
];

function check({ exitCode, says }: Case, outcome: Outcome): void {
  expect(outcome.stderr).not.toMatch(/^\s+at /m);
  const lines = outcome.stderr.trimEnd().split('\n');
  if (typeof says === 'string') expect(lines).toEqual([says]);
  else expect(lines).toEqual([expect.stringMatching(says)]);
  expect(outcome).toMatchObject({ exitCode, stdout: '' });
  expect(outcome.seconds).toBeLessThan(secondsMax);
}

describe('bad input', () => {
  it.each(cases)('$what', async (each) => {
    check(each, await lockstep(each.args, { cwd: directory.path }));
  });

  it('a port in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      const args = ['coordinator', 'tiny.json', '--listen', `127.0.0.1:${port}`, '--out', 'port'];
      check(
        { what: '', args, exitCode: 2, says: new RegExp(`^error: .*${port}.*in use`) },
        await lockstep(args, { cwd: directory.path }),
      );
      // Nothing stands in the way of the right one.
      expect(readdirSync(join(directory.path, 'port'))).toEqual([]);
    } finally {
      server.close();
    }
  });

  it('nobody at the address of the coordinator is worth a retry', async () => {
    // A backend that is everywhere: without native kernels a line would say that WebAssembly is used.
    const args = ['worker', '--join', 'ws://127.0.0.1:1', '--backend', 'wasm', '--wait', '0'];
    const env = { LOCKSTEP_TOKEN: 'ab'.repeat(32) };
    const outcome = await lockstep(args, { cwd: directory.path, env });
    check({ what: '', args, exitCode: 3, says: /^error: .*127\.0\.0\.1:1/ }, outcome);
  });
});

describe('help', () => {
  const commands = ['start', 'train', 'coordinator', 'worker', 'evaluate', 'predict', 'inspect', 'doctor'];

  it('names every command', async () => {
    const { stdout, exitCode } = await lockstep(['--help'], { cwd: directory.path });
    expect(exitCode).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it.each(commands)('%s --help tells its options', async (command) => {
    const { stdout, exitCode, stderr } = await lockstep([command, '--help'], { cwd: directory.path });
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`^Usage: lockstep ${command}`));
  });
});
