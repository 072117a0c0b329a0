// How a member that is behind gets the state that all go on from: pieces of one sender, of one step, in their order. Whoever
// sends others is refused, and holds up nobody. Pure: bytes in, vectors filled.

import { ProtocolError } from '../proto/error.ts';
import { limits } from '../proto/limits.ts';
import type { MessageOf } from '../proto/messages.ts';
import { PieceAssembler } from '../proto/transport/bulk.ts';

type Piece = MessageOf<'statePiece'>;

/** The rank of a peer; null is the coordinator. */
export type Sender = number | null;

/** Whose state, and after which step. */
export interface HealingFrom {
  readonly sender: Sender;
  readonly step: number;
}

interface Expected {
  readonly from: HealingFrom;
  readonly assembler: PieceAssembler;
  readonly onWhole: () => void;
}

/** A sender may cut a state into some more pieces than it must. */
const morePiecesMax = 16;

export class Healing {
  readonly #earlyMax: number;
  readonly #refuse: (sender: Sender, error: ProtocolError) => void;
  /** Of every sender, until it is known who is the right one. */
  readonly #early = new Map<Sender, Piece[]>();
  #taken = 0;
  /** Undefined until it is known; null where nothing is to come. */
  #expected: Expected | null | undefined;

  /** `sections`: sizes in floats. `refuse`: what this sender sent before cannot be right. */
  constructor(
    sections: readonly { readonly size: number }[],
    refuse: (sender: Sender, error: ProtocolError) => void,
  ) {
    const piecesOf = (floats: number): number =>
      Math.ceil((floats * Float32Array.BYTES_PER_ELEMENT) / limits.pieceBytesMax);
    this.#earlyMax = sections.reduce((sum, { size }) => sum + piecesOf(size), morePiecesMax);
    this.#refuse = refuse;
  }

  /** Pieces that were. */
  get taken(): number {
    return this.#taken;
  }

  /** Throws ProtocolError where the piece cannot be right, which is its sender's fault. */
  take(sender: Sender, piece: Piece): void {
    if (this.#expected !== undefined) {
      this.#takeDue(sender, piece);
      return;
    }
    const early = this.#early.get(sender) ?? [];
    if (early.length === this.#earlyMax) throw new ProtocolError('overflow', 'more pieces than a state has');
    this.#early.set(sender, early);
    early.push(piece);
  }

  /** It is not behind, or begins from the seed. */
  expectNothing(): void {
    this.#expected = null;
    this.#takeEarly();
  }

  /** Fills the vectors, by section, and says when they are whole. */
  expect(
    from: HealingFrom,
    vectors: readonly { readonly name: string; readonly floats: Float32Array }[],
    onWhole: () => void,
  ): void {
    const parts = vectors.map(({ name, floats }) => ({
      name,
      bytes: new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength),
    }));
    this.#expected = { from, assembler: new PieceAssembler(parts), onWhole };
    this.#takeEarly();
  }

  #takeDue(sender: Sender, piece: Piece): void {
    const expected = this.#expected;
    if (!expected || sender !== expected.from.sender || piece.step !== expected.from.step) {
      const what = `a piece of the state after step ${piece.step}, for which nobody asked`;
      throw new ProtocolError('unexpected', what);
    }
    expected.assembler.take(piece.section, piece.offset, piece.bytes);
    this.#taken += 1;
    if (expected.assembler.isComplete) expected.onWhole();
  }

  #takeEarly(): void {
    for (const [sender, pieces] of this.#early) {
      try {
        for (const piece of pieces) this.#takeDue(sender, piece);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.#refuse(sender, error);
      }
    }
    this.#early.clear();
  }
}
