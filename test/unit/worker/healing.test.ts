// Stories of a member that is behind: whose pieces it takes, and whose it refuses.

import { expect, it } from 'vitest';
import type { ProtocolError } from '../../../proto/error.ts';
import { limits } from '../../../proto/limits.ts';
import type { MessageOf } from '../../../proto/messages.ts';
import { Healing, type Sender } from '../../../worker/healing.ts';

const size = 6;
const state = Float32Array.of(1, 2, 3, 4, 5, 6);

function pieceAt(offset: number, floats = 2, step = 7): MessageOf<'statePiece'> {
  const bytes = new Uint8Array(state.buffer.slice(4 * offset, 4 * (offset + floats)));
  return { type: 'statePiece', generation: 1, step, section: 's', offset: 4 * offset, total: 24, bytes };
}

class Patient {
  readonly refused: [Sender, string][] = [];
  readonly floats = new Float32Array(size);
  whole = 0;
  readonly healing = new Healing([{ size }], (sender, { code }: ProtocolError) =>
    this.refused.push([sender, code]),
  );

  expect(sender: Sender): void {
    const onWhole = (): void => {
      this.whole += 1;
    };
    this.healing.expect({ sender, step: 7 }, [{ name: 's', floats: this.floats }], onWhole);
  }
}

it.each([[null], [2]])('takes the pieces of its source (%s), early or late', (source) => {
  const patient = new Patient();
  patient.healing.take(source, pieceAt(0));
  patient.healing.take(source, pieceAt(2));
  patient.expect(source);
  expect(patient.whole).toBe(0);
  patient.healing.take(source, pieceAt(4));
  expect(patient).toMatchObject({ whole: 1, floats: state, refused: [] });
});

it('is whole at once where all came early', () => {
  const patient = new Patient();
  for (const offset of [0, 2, 4]) patient.healing.take(1, pieceAt(offset));
  patient.expect(1);
  expect(patient).toMatchObject({ whole: 1, floats: state, refused: [] });
});

it('refuses who is not its source, and is healed all the same', () => {
  const patient = new Patient();
  patient.healing.take(3, pieceAt(0));
  patient.healing.take(1, pieceAt(0));
  patient.expect(1);
  expect(patient.refused).toEqual([[3, 'unexpected']]);
  expect(() => patient.healing.take(3, pieceAt(2))).toThrow(expect.objectContaining({ code: 'unexpected' }));
  patient.healing.take(1, pieceAt(2, 4));
  expect(patient).toMatchObject({ whole: 1, floats: state });
});

it('refuses pieces of another step, out of turn, too many, and any after the end', () => {
  const patient = new Patient();
  patient.expect(1);
  for (const [piece, code] of [
    [pieceAt(0, 2, 6), 'unexpected'],
    [pieceAt(2), 'unexpected'],
    [pieceAt(0, 0), 'invalid'],
  ] as const) {
    expect(() => patient.healing.take(1, piece)).toThrow(expect.objectContaining({ code }));
  }
  patient.healing.take(1, pieceAt(0, 6));
  expect(() => patient.healing.take(1, pieceAt(0))).toThrow(expect.objectContaining({ code: 'unexpected' }));
  expect(patient.whole).toBe(1);
});

it('refuses all where nothing is to come', () => {
  const patient = new Patient();
  patient.healing.take(1, pieceAt(0));
  patient.healing.expectNothing();
  expect(patient.refused).toEqual([[1, 'unexpected']]);
  expect(() => patient.healing.take(2, pieceAt(0))).toThrow(expect.objectContaining({ code: 'unexpected' }));
});

it('keeps of each sender no more than a state', () => {
  const patient = new Patient();
  const flood = (): void => {
    for (let i = 0; i < 1000; i += 1) patient.healing.take(1, pieceAt(0));
  };
  expect(flood).toThrow(expect.objectContaining({ code: 'overflow' }));
  expect(4 * size).toBeLessThan(limits.pieceBytesMax);
  // Of another it still takes what it may need.
  patient.healing.take(2, pieceAt(0, 6));
  patient.expect(2);
  expect(patient.whole).toBe(1);
});
