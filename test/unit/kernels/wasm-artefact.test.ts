// The .wasm files in the repository are what the sources give: built again with the pinned clang and compared. The clang
// is installed on the first run (100 MB); where that is impossible the test is skipped and says why.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/platform/package-root.ts';

const timeoutMs = 900_000;
/** What build-wasm.mjs ends with where the compiler cannot be installed. */
const noToolchain = 3;

describe('the WebAssembly kernels in the repository', () => {
  it('are what the sources give, byte for byte', { timeout: timeoutMs }, ({ skip }) => {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-wasm-'));
    try {
      const script = join(packageRoot(), 'deploy/setup/build-wasm.mjs');
      const build = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
      if (build.status === noToolchain) {
        console.warn(build.stderr.trim());
        skip(build.stderr.trim());
      }
      expect(build.stderr).not.toMatch(/error/);
      expect(build.status).toBe(0);
      for (const name of ['kernels-relaxed.wasm', 'kernels-strict.wasm']) {
        const kept = readFileSync(join(packageRoot(), 'src/kernels/wasm', name));
        const same = kept.equals(readFileSync(join(folder, name)));
        expect(same, `${name} is older than src/kernels/c: run npm run build:wasm and commit it`).toBe(true);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
