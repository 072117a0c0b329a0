// The one number that proves a run: SHA-256 over the trained weights. No I/O; the hash is node:crypto's.

import { createHash } from 'node:crypto';

interface Floats {
  readonly data: Float32Array;
}

/** SHA-256, hex, over the float32 little-endian bytes of all parameters, then all batch-norm statistics, both in the
    model's own order and without padding. */
export function weightsSha256(parameters: readonly Floats[], statistics: readonly Floats[]): string {
  const hash = createHash('sha256');
  for (const { data } of [...parameters, ...statistics]) {
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
