// Descriptors shared out between strangers, connections and the process itself.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { limits } from '../../../../proto/limits.ts';
import { connectionShares, openFilesMax, ownFiles } from '../../../../proto/transport/open-files.ts';

it('never shares out more than there is, and keeps what the process needs', () => {
  fc.assert(
    fc.property(fc.nat(5_000), fc.nat(64), (filesMax, threads) => {
      const shares = connectionShares(filesMax, threads);
      if (shares === null) {
        expect(filesMax - ownFiles(threads)).toBeLessThan(3 * limits.pendingSocketsMin);
        return;
      }
      expect(shares.pending + shares.open + ownFiles(threads)).toBeLessThanOrEqual(filesMax);
      expect(shares.pending).toBeLessThanOrEqual(shares.open);
    }),
  );
});

it('has its own limits where the system has none', () => {
  const { pendingSocketsMax, openSocketsMax } = limits;
  expect(connectionShares(null, 8)).toEqual({ pending: pendingSocketsMax, open: openSocketsMax });
  expect(connectionShares(1_000_000, 8)).toEqual({ pending: pendingSocketsMax, open: openSocketsMax });
});

it.skipIf(process.platform === 'win32')("reads this process's own limit", () => {
  expect(openFilesMax() ?? Number.POSITIVE_INFINITY).toBeGreaterThan(64);
});
