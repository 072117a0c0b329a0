// The digest by which workers compare their states: CRC-32 over the sections in the order they travel. It notices what went
// wrong by accident; the proof of a run is weights-hash.ts. No I/O: the fallback is node:zlib's function.

import { crc32 } from 'node:zlib';

/** CRC-32 of bytes; `running`: that of the bytes before. */
export type Checksum = (bytes: Uint8Array, running?: number) => number;

/**
 * Between two digests of a run with several workers, in steps. A digest reads the state once, at 2 to 25 GB/s; every step reads
 * and writes it at least once and computes besides, so that this keeps the cost of digests below 1 % of a step.
 */
export const stepsBetweenDigests = 32;

export const isDigestDue = (step: number): boolean => step > 0 && step % stepsBetweenDigests === 0;

/** `checksum`: a faster one than Node's, where there is one. */
export function stateDigest(
  sections: readonly { readonly floats: Float32Array }[],
  checksum: Checksum = crc32,
): number {
  return sections.reduce((running, { floats }) => checksum(bytesOf(floats), running), 0);
}

/** The digest with more of the state. */
export function moreOfDigest(bytes: Uint8Array, running: number): number {
  return crc32(bytes, running);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
