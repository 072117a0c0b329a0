// The dense and convolution kernels against their naive twins in C (c/naive.h), byte for byte, over random and awkward
// sizes, shards, lanes and little scratch: each instruction set is compiled here and run. Skipped where there is no
// compiler, or where the machine lacks the instruction set.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/platform/package-root.ts';
import { randomSeed } from '../support/seed.ts';

const folder = join(packageRoot(), 'test/conformance/c');
const flags = ['-std=gnu11', '-O2', '-ffp-contract=off', '-fno-math-errno', '-I', folder];
const include = ['-I', join(packageRoot(), 'src/kernels/c')];
const cases = '400';
const timeoutMs = 300_000;

// biome-ignore format: a table
const builds = [
  { name: 'avx512', arch: 'x64', compiler: 'cc', emulator: [], flags: ['-mavx512f', '-mavx512vl', '-mavx512dq', '-mavx512bw', '-mavx2', '-mfma'] },
  { name: 'avx2', arch: 'x64', compiler: 'cc', emulator: [], flags: ['-mavx2', '-mfma'] },
  { name: 'portable', arch: null, compiler: 'cc', emulator: [], flags: ['-DLOCKSTEP_PORTABLE'] },
  { name: 'neon', arch: null, compiler: 'aarch64-linux-gnu-gcc', emulator: ['qemu-aarch64-static'], flags: ['-static'] },
] as const;

const installed = (tool: string): boolean => spawnSync(tool, ['--version']).status === 0;

describe('naive twins', () => {
  for (const build of builds) {
    const fits = build.arch === null || build.arch === process.arch;
    const missing = [build.compiler, ...build.emulator].filter((tool) => !installed(tool));
    const reason = fits ? missing.map((tool) => `no ${tool}`).join(', ') : `not on ${process.arch}`;
    it.skipIf(reason)(
      `${build.name}${reason ? `, skipped: ${reason}` : `, seed ${randomSeed}`}`,
      { timeout: timeoutMs },
      (context) => {
        const output = mkdtempSync(join(tmpdir(), 'lockstep-twins-'));
        try {
          const program = join(output, build.name);
          const source = join(folder, 'linear_test.c');
          execFileSync(build.compiler, [...flags, ...include, ...build.flags, source, '-o', program, '-lm']);
          const [command, ...args] = [...build.emulator, program, cases, String(randomSeed)] as [
            string,
            ...string[],
          ];
          const run = spawnSync(command, args, { encoding: 'utf8' });
          if (run.signal === 'SIGILL') context.skip(`this machine has no ${build.name}`);
          expect(run.stdout).toBe(`${cases} cases of every kernel equal their naive twins\n`);
        } finally {
          rmSync(output, { recursive: true, force: true });
        }
      },
    );
  }
});
