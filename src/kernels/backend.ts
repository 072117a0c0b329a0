// What a kernel backend is. Implementations: native/ (Node-API addon), wasm/ (relaxed and strict), reference/
// (TypeScript, float32 or float64). One conformance suite runs over all of them.

export type BackendName = 'native' | 'wasm' | 'reference';

/** The one memory of a worker. Element offsets of `floats` and `ints` are what programs carry. */
export interface Arena {
  /** In elements. Float64 only in the reference backend's float64 form, where floats and ints do not overlap. */
  readonly floats: Float32Array | Float64Array;
  readonly ints: Int32Array;
  /** What another thread needs to attach to this arena; structured-clonable. */
  readonly handle: ArenaHandle;
}

export type ArenaHandle =
  | { readonly kind: 'native'; readonly buffer: SharedArrayBuffer }
  | { readonly kind: 'wasm'; readonly memory: WebAssembly.Memory; readonly size: number }
  | {
      readonly kind: 'reference';
      readonly floats: SharedArrayBuffer;
      readonly ints: SharedArrayBuffer;
      readonly bits: 32 | 64;
    };

/** Operations on bytes wherever they lie, aligned or not: for what comes from sockets. Arrays of a call are equally long. */
export interface ByteOperations {
  /** out = left + right, float32 by float32; out may be one of them. */
  addFloats(out: Uint8Array, left: Uint8Array, right: Uint8Array): void;
  copyBytes(out: Uint8Array, from: Uint8Array): void;
  /** CRC-32, the same number as zlib's; `running`: that of the bytes before. */
  checksum(bytes: Uint8Array, running?: number): number;
  /** Gives the memory of the whole buffer behind the array back at once; all views of it are empty then. */
  release(array: Uint8Array): void;
}

export interface Backend {
  readonly name: BackendName;
  /** Which variant runs, for logs: 'avx512', 'avx2', 'neon', 'portable', 'relaxed', 'strict', 'float32', 'float64'. */
  readonly variant: string;
  /** Where the backend has them. */
  readonly bytes?: ByteOperations;
  /** A new zeroed arena of `size` elements. Throws LOCKSTEP_OUT_OF_MEMORY. */
  createArena(size: number): Arena;
  /** This thread's view of an arena made elsewhere; `lane` is this thread's lane, given before `run`. */
  attach(handle: ArenaHandle, lane: number): LaneRunner;
}

export interface LaneRunner {
  readonly arena: Arena;
  /** Runs the instructions in words from .. to-1 of the arena as this lane, under the step table at `table`. */
  run(from: number, to: number, table: number): void;
}
