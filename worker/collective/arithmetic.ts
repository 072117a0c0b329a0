// What the collectives do to floats, as fast as the backend can: native functions where it has them, else its kernel, else
// plain TypeScript. The bits are the same.

import type { Backend } from '../../src/kernels/backend.ts';
import { bytesOf } from './floats.ts';
import { LaneAdder } from './lane-adder.ts';
import { BlockAdder, type TreeAdder } from './tree-adder.ts';

export interface Arithmetic {
  readonly adder: TreeAdder;
  /** Both equally long, on any alignment. */
  copy(out: Uint8Array, from: Uint8Array): void;
  /** Gives the memory of bytes from a socket back ahead of the collector: the next ones then come to warm memory. */
  release(chunk: Uint8Array): void;
  /** out = left + right, float32, on any alignment; where the backend has it. */
  readonly addTwo?: (out: Uint8Array, left: Uint8Array, right: Uint8Array) => void;
}

/** Floats of a block, so that sums that wait for another stay in cache; two vectors leave nothing waiting. */
const blockFloats = 8_192;
const pairBlockFloats = 2 ** 30;

export function copyBytes(out: Uint8Array, from: Uint8Array): void {
  out.set(from);
}

/** Node.js has `transfer` from 21 on; before, the collector has to find it. */
function release({ buffer }: Uint8Array): void {
  if ('transfer' in buffer && typeof buffer.transfer === 'function') buffer.transfer(0);
}

/** `merges`: how the nodes of all workers are added (world.ts). */
export function arithmeticOf(backend: Backend, merges: readonly number[]): Arithmetic {
  const { bytes } = backend;
  if (bytes !== undefined) {
    const addTwo = (out: Float32Array, left: Float32Array, right: Float32Array): void =>
      bytes.addFloats(bytesOf(out), bytesOf(left), bytesOf(right));
    const isPair = merges.length <= 2;
    const scratch = (): Float32Array => new Float32Array(isPair ? 0 : blockFloats);
    const adder = new BlockAdder(merges, addTwo, isPair ? pairBlockFloats : blockFloats, scratch);
    return { adder, copy: bytes.copyBytes, release: bytes.release, addTwo: bytes.addFloats };
  }
  const adder = backend.name === 'reference' ? new BlockAdder(merges) : new LaneAdder(backend, merges);
  return { adder, copy: copyBytes, release };
}
