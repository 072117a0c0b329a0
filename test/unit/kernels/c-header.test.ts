// The generated C header is the one the kernel list gives: C and TypeScript cannot drift apart.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { kernelHeader } from '../../../src/kernels/c-header.ts';
import { packageRoot } from '../../../src/platform/package-root.ts';

it('kernel_ids.h is up to date (npm run build:header)', () => {
  const header = readFileSync(join(packageRoot(), 'src/kernels/c/kernel_ids.h'), 'utf8');
  expect(header).toBe(kernelHeader());
});
