// Bytes and floats of the same memory.

export function bytesOf(floats: Float32Array): Uint8Array {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}

/** The floats of received bytes: a view where they are aligned (large messages are), else a copy (slice() of a Buffer is none). */
export function alignedFloats(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % Float32Array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(
    aligned.buffer,
    aligned.byteOffset,
    aligned.length / Float32Array.BYTES_PER_ELEMENT,
  );
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}

/** Vectors of a size kept in each pool. */
const pooledMax = 64;

/** Vectors for what is on its way, used again: new memory for every message costs more than filling it. */
export class FloatPool {
  readonly #free = new Map<number, Float32Array[]>();

  /** A vector of `length` floats, holding anything. */
  take(length: number): Float32Array {
    return this.#free.get(length)?.pop() ?? new Float32Array(length);
  }

  /** Takes back what is not in use any more. Views of larger memory are left to the collector. */
  give(floats: Float32Array): void {
    if (floats.byteLength !== floats.buffer.byteLength) return;
    const free = this.#free.get(floats.length);
    if (free === undefined) this.#free.set(floats.length, [floats]);
    else if (free.length < pooledMax) free.push(floats);
  }
}
