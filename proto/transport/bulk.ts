// Bulk data in pieces (I/O): a run of bytes is sent under backpressure, and put together again with every piece checked.

import { ProtocolError } from '../error.ts';
import { limits } from '../limits.ts';

/** Sends `bytes` piece by piece through `send`, which says whether the connection is still open. */
export async function sendPieces(
  bytes: Uint8Array,
  send: (offset: number, piece: Uint8Array) => boolean,
  drained: () => Promise<void>,
): Promise<boolean> {
  for (let offset = 0; offset < bytes.length; offset += limits.pieceBytesMax) {
    if (!send(offset, bytes.subarray(offset, Math.min(bytes.length, offset + limits.pieceBytesMax))))
      return false;
    await drained();
  }
  return true;
}

/** Several named runs of bytes, each filled from front to back, in their order. */
export class PieceAssembler {
  readonly #parts: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  #part = 0;
  #filled = 0;

  /** `parts`: where the bytes go; parts of no size are complete at once. */
  constructor(parts: readonly { readonly name: string; readonly bytes: Uint8Array }[]) {
    this.#parts = parts.filter(({ bytes }) => bytes.length > 0);
  }

  get isComplete(): boolean {
    return this.#part === this.#parts.length;
  }

  /** Throws ProtocolError where the piece is not the one that must come next. */
  take(name: string, offset: number, piece: Uint8Array): void {
    const part = this.#parts[this.#part];
    if (part === undefined || part.name !== name || offset !== this.#filled) {
      throw new ProtocolError('unexpected', `a piece of ${name} at byte ${offset}, out of turn`);
    }
    if (piece.length === 0 || offset + piece.length > part.bytes.length) {
      throw new ProtocolError('invalid', `a piece of ${name} does not fit its ${part.bytes.length} bytes`);
    }
    part.bytes.set(piece, offset);
    this.#filled += piece.length;
    if (this.#filled === part.bytes.length) {
      this.#part += 1;
      this.#filled = 0;
    }
  }
}
