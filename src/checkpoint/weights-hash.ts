// SHA-256 over bytes in parts, and the one number that proves a run: that of the trained weights. No I/O: the hash is
// node:crypto's. A large model takes seconds: other work of the thread has its turns in between.

import { createHash } from 'node:crypto';
import { setImmediate as immediate } from 'node:timers/promises';
import { bytesOf } from './safetensors.ts';

interface Floats {
  readonly data: Float32Array;
}

/** Hashed in one turn of the event loop: less than a millisecond. */
const turnBytes = 1024 * 1024;

/** Hex. The bytes must stay as they are until it resolves. */
export async function sha256Of(parts: readonly Uint8Array[]): Promise<string> {
  const hash = createHash('sha256');
  let turn = 0;
  for (const part of parts) {
    for (let offset = 0; offset < part.length; ) {
      const end = Math.min(part.length, offset + turnBytes - turn);
      hash.update(part.subarray(offset, end));
      turn += end - offset;
      offset = end;
      if (turn < turnBytes) continue;
      turn = 0;
      await immediate();
    }
  }
  return hash.digest('hex');
}

/** SHA-256, hex, over the float32 little-endian bytes of all parameters, then all batch-norm statistics, both in the
    model's own order and without padding. */
export function weightsSha256(parameters: readonly Floats[], statistics: readonly Floats[]): Promise<string> {
  return sha256Of([...parameters, ...statistics].map(({ data }) => bytesOf(data)));
}
