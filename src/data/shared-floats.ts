// Memory for data sets, and the error where there is not enough. Pure.

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

/** What `load` gives; a typed array that the machine, or JavaScript, cannot hold becomes LOCKSTEP_OUT_OF_MEMORY. */
export async function withinMemory<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const told = `no memory for the data set (${error.message}): use fewer samples, or a larger machine`;
    throw new LockstepError('LOCKSTEP_OUT_OF_MEMORY', told, { cause: error });
  }
}
