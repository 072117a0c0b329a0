// The package as npm delivers it, on a machine without compilers: packed, installed with --ignore-scripts into an empty
// folder, and run there. WebAssembly computes, and gives the bytes that it gives in the repository.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { cleanEnvironment, doneEvent, lockstep, repositoryRoot, temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
afterAll(() => directory.remove());

function npm(args: readonly string[], cwd: string): string {
  const result = spawnSync('npm', args, { cwd, env: cleanEnvironment(), encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`npm ${args.join(' ')}: ${result.stderr || result.error}`);
  return result.stdout;
}

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

it('trains from its tarball on WebAssembly, to the same bytes', async () => {
  const packed = join(directory.path, 'packed');
  const user = join(directory.path, 'user');
  mkdirSync(packed);
  mkdirSync(user);
  npm(['pack', '--ignore-scripts', '--pack-destination', packed], repositoryRoot);
  const [tarball] = readdirSync(packed);
  writeFileSync(
    join(user, 'package.json'),
    JSON.stringify({ name: 'user', version: '1.0.0', private: true }),
  );
  writeFileSync(join(user, 'config.json'), JSON.stringify(config));
  npm(
    [
      'install',
      '--ignore-scripts',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      join(packed, tarball ?? ''),
    ],
    user,
  );
  expect(existsSync(join(user, 'node_modules', 'lockstep', 'build'))).toBe(false);

  const train = ['train', 'config.json', '--workers', '2', '--threads', '1', '--json'];
  const there = await lockstep(train, { cwd: user, command: ['npx', '--no-install', 'lockstep'] });
  expect(there.exitCode).toBe(0);
  expect(there.stderr).toMatch(/WebAssembly/);
  const here = await lockstep([...train, '--backend', 'wasm', '--out', 'here'], { cwd: user });
  expect(doneEvent(there).weightsSha256).toBe(doneEvent(here).weightsSha256);
  expect(doneEvent(there).steps).toBe(10);
});
