// NEON without an arm64 machine: every case of the battery is recorded here and run again by a cross-compiled program
// under qemu, which compares the bytes. The checksum by carry-less products likewise. Skipped, with the reason, where the
// tools are not installed.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { battery } from '../../src/kernels/battery.ts';
import { kernelNames } from '../../src/kernels/kernel-list.ts';
import { nativeBackend } from '../../src/kernels/native/backend.ts';
import { packageRoot } from '../../src/platform/package-root.ts';
import { recordCases } from './recording.ts';

const compiler = 'aarch64-linux-gnu-gcc';
const emulator = 'qemu-aarch64-static';
const flags = ['-std=gnu11', '-O2', '-ffp-contract=off', '-fno-math-errno', '-static', '-DLOCKSTEP_ISA=neon'];
const timeoutMs = 600_000;

function missing(): string | null {
  const absent = [compiler, emulator].filter((tool) => spawnSync(tool, ['--version']).status !== 0);
  if (absent.length > 0) return `not installed: ${absent.join(', ')}`;
  try {
    nativeBackend();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

const reason = missing();

describe(reason ? `NEON (skipped, ${reason})` : 'NEON', () => {
  it.skipIf(reason)(
    'gives the bytes of this machine on every case of the battery',
    { timeout: timeoutMs },
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'lockstep-neon-'));
      try {
        const { bytes, records } = recordCases(nativeBackend(), 1, Object.values(battery).flat());
        expect(records).toBeGreaterThan(3 * kernelNames.length);
        writeFileSync(join(folder, 'recording'), bytes);
        const sources = [
          join(packageRoot(), 'src/kernels/c/kernels.c'),
          join(packageRoot(), 'test/conformance/c/replay.c'),
        ];
        execFileSync(compiler, [
          ...flags,
          '-I',
          join(packageRoot(), 'src/kernels/c'),
          ...sources,
          '-o',
          join(folder, 'replay'),
        ]);
        const replay = spawnSync(emulator, [join(folder, 'replay'), join(folder, 'recording')], {
          encoding: 'utf8',
        });
        expect(replay.stdout).toBe(`${records} records, 0 wrong\n`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  it.skipIf(reason)('gives the CRC-32 of the definition', { timeout: timeoutMs }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-neon-'));
    try {
      const source = join(packageRoot(), 'test/conformance/c/checksum.c');
      execFileSync(compiler, ['-std=gnu11', '-O2', '-static', source, '-o', join(folder, 'checksum')]);
      const compared = spawnSync(emulator, [join(folder, 'checksum')], { encoding: 'utf8' });
      expect(compared.stdout).toBe('3000 cases, 0 wrong, lanes: 1\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
