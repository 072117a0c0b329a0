// Writes the generated C header (npm run build first).
import { writeFileSync } from 'node:fs';
import { kernelHeader } from '../../dist/src/kernels/c-header.js';

writeFileSync(new URL('../../src/kernels/c/kernel_ids.h', import.meta.url), kernelHeader());
