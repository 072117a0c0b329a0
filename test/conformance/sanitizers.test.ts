// The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: recorded cases, kept and drawn, are run again in plain C
// with everything but the operands poisoned. The tests take one instruction set and few cases; `npm run test:sanitizers`
// takes all that this machine runs, and more cases. Skipped, with the reason, where there is no compiler or no sanitizer.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { battery, drawCase } from '../../src/kernels/battery.ts';
import { type BatteryCase, caseSize } from '../../src/kernels/battery-case.ts';
import { kernelNames } from '../../src/kernels/kernel-list.ts';
import { nativeBackend } from '../../src/kernels/native/backend.ts';
import { packageRoot } from '../../src/platform/package-root.ts';
import { randomSeed } from '../support/seed.ts';
import { recordCases } from './recording.ts';

const run = promisify(execFile);
const timeoutMs = 600_000;
/** Drawn cases of each kernel; with 0 the short pass: no drawn case but the battery's own, one instruction set. */
const drawnCases = Number(process.env.LOCKSTEP_SANITIZER_CASES ?? 0);
const drawnElementsMax = 3000;
/** Elements of the battery's cases in the short pass. */
const shortSizeMax = 20_000;

// Unoptimised: the fastest to compile, and nothing is reordered or left out before it is checked.
const flags = [
  '-std=gnu11',
  '-O0',
  '-g1',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fsanitize=address,undefined',
];
const strict = ['-fno-sanitize-recover=all'];

// biome-ignore format: a table
const builds = [
  { name: 'avx512', arch: 'x64', flags: ['-mavx512f', '-mavx512vl', '-mavx512dq', '-mavx512bw', '-mavx2', '-mfma'] },
  { name: 'avx2', arch: 'x64', flags: ['-mavx2', '-mfma'] },
  { name: 'portable', arch: null, flags: ['-DLOCKSTEP_PORTABLE'] },
  { name: 'neon', arch: 'arm64', flags: [] },
] as const;

/** Why this machine cannot run a build, or ''. */
function missing({ name, arch }: (typeof builds)[number]): string {
  if (arch !== null && arch !== process.arch) return `not on ${process.arch}`;
  if (process.platform !== 'linux') return 'AddressSanitizer is used on Linux';
  const program = 'int main(void) { return 0; }';
  const compiled = spawnSync('cc', ['-fsanitize=address,undefined', '-x', 'c', '-', '-o', '/dev/null'], {
    input: program,
  });
  if (compiled.error) return 'no cc';
  if (compiled.status !== 0) return 'cc has no AddressSanitizer';
  try {
    nativeBackend(name);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const short = drawnCases === 0;
const reasons = builds.map((build) => missing(build));
const first = reasons.indexOf('');

const cases: readonly BatteryCase[] = kernelNames.flatMap((kernel) => [
  ...(battery[kernel] as readonly BatteryCase[]).filter((test) => !short || caseSize(test) <= shortSizeMax),
  ...Array.from(
    { length: drawnCases },
    (_, index) => drawCase(kernel, randomSeed, index, drawnElementsMax) as BatteryCase,
  ),
]);

describe('address and undefined behaviour sanitizers', () => {
  for (const [index, build] of builds.entries()) {
    const later = short && index !== first ? 'one is enough here; npm run test:sanitizers takes all' : '';
    const reason = reasons[index] || later;
    const what = `${build.name}, ${cases.length} cases, ${short ? 'the battery' : `seed ${randomSeed}`}`;
    it.skipIf(reason)(
      reason ? `${build.name}, skipped: ${reason}` : what,
      { timeout: timeoutMs },
      async () => {
        const folder = mkdtempSync(join(tmpdir(), 'lockstep-sanitizers-'));
        try {
          const program = join(folder, 'replay');
          const sources = ['sanitized.c', 'replay.c'].map((name) =>
            join(packageRoot(), 'test/conformance/c', name),
          );
          const include = ['-I', join(packageRoot(), 'src/kernels/c'), `-DLOCKSTEP_ISA=${build.name}`];
          const compiling = run('cc', [
            ...flags,
            ...strict,
            ...build.flags,
            ...include,
            ...sources,
            '-o',
            program,
          ]);
          const recordings = (short ? [1] : [1, 3]).map((lanes) =>
            recordCases(nativeBackend(build.name), lanes, cases),
          );
          await compiling;
          for (const [i, { bytes, records }] of recordings.entries()) {
            const path = join(folder, `recording-${i}`);
            writeFileSync(path, bytes);
            const replay = spawnSync(program, [path], { encoding: 'utf8', maxBuffer: 2 ** 30 });
            // The last call that began, and what the sanitizer says of it.
            const report = replay.stderr.split('\n').filter((line) => !/^record/.test(line));
            const at = replay.stderr.split('\n').findLast((line) => /^record/.test(line));
            expect(report.length > 1 ? [at, ...report.slice(0, 30)].join('\n') : '').toBe('');
            expect(replay.stdout).toBe(`${records} records, 0 wrong\n`);
          }
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
    );
  }
});
