// How the memory of the WebAssembly kernels is divided: [data | one stack for every lane | arena]. All numbers in bytes.

/** End of the module's data; deploy/setup/build-wasm.mjs links for it. */
export const dataEnd = 65_536;
export const stackSize = 262_144;
export const lanesMax = 64;
/** Where the arena's element 0 lies: 64-byte aligned. */
export const arenaBase = dataEnd + lanesMax * stackSize;
export const pageSize = 65_536;
/** 4 GB: what 32-bit addresses reach. */
export const pagesMax = 65_536;

/** Stacks grow down from here. */
export function stackTop(lane: number): number {
  return dataEnd + (lane + 1) * stackSize;
}

/** Pages of a memory that holds an arena of `size` elements. */
export function pagesFor(size: number): number {
  return Math.ceil((arenaBase + size * 4) / pageSize);
}
