// The tests' runner: two projects, so that `npx vitest run --project unit` is the quick one. The run, end-to-end and
// cluster tests start real processes and threads from dist/, which `npm test` has built by then (pretest).

import { defineConfig } from 'vitest/config';

const secondMs = 1000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,tidy,golden,conformance,parity,networks,sim,fuzz}/**/*.test.ts'],
          testTimeout: 30 * secondMs,
          hookTimeout: 30 * secondMs,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/{e2e,durability,chaos}/**/*.test.ts'],
          testTimeout: 240 * secondMs,
          hookTimeout: 120 * secondMs,
          // Each file starts clusters of its own; on two cores they would only slow each other down.
          fileParallelism: false,
        },
      },
    ],
  },
});
