// The seal of a message: it travels as an array of two, its check and itself, so six bytes lie in front of it. The check
// is a CRC-32 of all bytes behind the seal that begins, in place of 0, with the number of the message on its connection
// and in its direction. So what was changed on the way is refused before anything is made of it, and so is what comes
// after a message that was lost, or came twice.

import { ProtocolError } from './error.ts';

/** CRC-32 as zlib has it; `running`: the value for the bytes before. */
export type Checksum = (bytes: Uint8Array, running?: number) => number;

/** An array of two, the first a number of 32 bits. */
const opening = [0x92, 0xce] as const;
export const sealBytes = 6;

/** A number that is packed in the form that a check is written in, whatever it is. */
export const unsealed = 0xffff_ffff;

/** The checks of the messages of one direction of one connection, one message after the other. */
export class MessageChecks {
  readonly #checksum: Checksum;
  #count = 0;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  /** Messages so far, modulo 2^32. */
  get count(): number {
    return this.#count;
  }

  /** The check of the next message, whose first bytes behind the seal these are. */
  begin(bytes: Uint8Array): number {
    const number = this.#count;
    this.#count = (number + 1) >>> 0;
    return this.#checksum(bytes, number);
  }

  /** The check with more bytes of that message. */
  more(bytes: Uint8Array, check: number): number {
    return this.#checksum(bytes, check);
  }
}

/** Seals the next message: `start` begins with room for the seal, `parts` follow it. */
export function seal(start: Uint8Array, parts: readonly Uint8Array[], checks: MessageChecks): void {
  let check = checks.begin(start.subarray(sealBytes));
  for (const part of parts) check = checks.more(part, check);
  writeSeal(check, start, 0);
}

export function writeSeal(check: number, out: Uint8Array, at: number): void {
  out[at] = opening[0];
  out[at + 1] = opening[1];
  writeUint32(check, out, at + 2);
}

/** The check that the bytes carry, or null where they do not begin with a seal. */
export function readSeal(bytes: Uint8Array): number | null {
  const isSealed = bytes.length >= sealBytes && bytes[0] === opening[0] && bytes[1] === opening[1];
  return isSealed ? readUint32(bytes, 2) : null;
}

/** What to say of a message that is not as it was sent. */
export function corruption(what = 'a message does not fit its check'): ProtocolError {
  return new ProtocolError('corrupt', `${what}: bytes were changed, lost or added on the way`);
}

export function writeUint32(value: number, out: Uint8Array, at: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
