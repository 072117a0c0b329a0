// The package as npm delivers it: packed from a clone that was never built, installed with --ignore-scripts into an empty
// folder, as on a machine without compilers, and run there. WebAssembly computes, and gives the bytes that it gives in the
// repository; what it says to do for native kernels works there.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cleanEnvironment, doneEvent, lockstep, repositoryRoot, temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
afterAll(() => directory.remove());

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const result = spawnSync(command, args, { cwd, env: { ...cleanEnvironment(), ...env }, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr || result.error}`);
  return result.stdout;
}

/** The files of the working tree, in a directory that was never set up. */
function freshClone(): string {
  const clone = join(directory.path, 'clone');
  const tracked = run(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    repositoryRoot,
  );
  for (const file of tracked.split('\0').filter((name) => existsSync(join(repositoryRoot, name)))) {
    if (file !== '') cpSync(join(repositoryRoot, file), join(clone, file));
  }
  return clone;
}

const packed = join(directory.path, 'packed');
const user = join(directory.path, 'user');

const config = {
  name: 'packed',
  data: { kind: 'digits', train: 96, test: 32 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 4, kernel: 3, stride: 2 },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  metrics: ['accuracy'],
  optimizer: { type: 'momentum', learningRate: 0.05 },
  batch: 20,
  epochs: 2,
};

beforeAll(() => {
  for (const path of [packed, user]) mkdirSync(path);
  const clone = freshClone();
  expect(existsSync(join(clone, 'dist'))).toBe(false);
  // Without a compiler: nothing that is built natively is packed.
  const env = { CC: join(clone, 'no-compiler'), npm_config_prefer_offline: 'true' };
  run('npm', ['pack', '--pack-destination', packed], clone, env);
  writeFileSync(
    join(user, 'package.json'),
    JSON.stringify({ name: 'user', version: '1.0.0', private: true }),
  );
  writeFileSync(join(user, 'config.json'), JSON.stringify(config));
  const [tarball] = readdirSync(packed);
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund'];
  run('npm', ['install', '--ignore-scripts', ...quiet, join(packed, tarball ?? '')], user);
});

const command = ['npx', '--no-install', 'lockstep'] as const;

it('trains from its tarball on WebAssembly, to the same bytes', async () => {
  expect(existsSync(join(user, 'node_modules', 'lockstep', 'build'))).toBe(false);
  const train = ['train', 'config.json', '--workers', '2', '--threads', '1', '--json'];
  const there = await lockstep(train, { cwd: user, command: [...command] });
  expect(there.exitCode).toBe(0);
  expect(there.stderr).toMatch(/WebAssembly/);
  const here = await lockstep([...train, '--backend', 'wasm', '--out', 'here'], { cwd: user });
  expect(doneEvent(there).weightsSha256).toBe(doneEvent(here).weightsSha256);
  expect(doneEvent(there).steps).toBe(10);
});

it('packs what the repository packs', () => {
  const files = (cwd: string): string[] => {
    const listed = run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], cwd);
    const [{ files }] = JSON.parse(listed) as [{ files: { path: string }[] }];
    return files.map(({ path }) => path).sort();
  };
  const clone = files(join(directory.path, 'clone'));
  expect(clone).toContain('dist/deploy/cli/main.js');
  expect(clone).toContain('dist/worker/lanes/lane-thread.js');
  expect(clone).toContain('dist/index.d.ts');
  expect(clone).toEqual(files(repositoryRoot));
});

const hasCompiler = ['cc', 'gcc', 'clang'].some((name) => spawnSync(name, ['--version']).status === 0);

it.skipIf(!hasCompiler)(
  'has native kernels once the command that it advises was run (needs a C compiler)',
  async () => {
    const before = await lockstep(['doctor'], { cwd: user, command: [...command] });
    expect(before.stdout).not.toContain('npm run build:native');
    const advised = /with a C compiler: (npm .*)$/m.exec(before.stdout)?.[1];
    expect(advised).toBe('npm rebuild lockstep');
    const [program, ...args] = advised!.split(' ');
    run(program!, args, user);
    const after = await lockstep(['doctor'], { cwd: user, command: [...command] });
    expect(after.stdout).toMatch(/native kernels\W+(avx512|avx2|neon|portable), numerics fingerprint/);
  },
);
