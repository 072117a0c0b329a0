// Memory for data sets. Pure.

import { LockstepError } from '../errors.ts';

/** Float32 memory that threads share. Throws LOCKSTEP_OUT_OF_MEMORY. */
export function sharedFloats(length: number): Float32Array<SharedArrayBuffer> {
  const bytes = length * Float32Array.BYTES_PER_ELEMENT;
  try {
    return new Float32Array(new SharedArrayBuffer(bytes));
  } catch (error) {
    const told = `no memory for ${bytes} bytes of the data set: use fewer samples, or a larger machine`;
    throw new LockstepError('LOCKSTEP_OUT_OF_MEMORY', told, { cause: error });
  }
}
