// The tap between a socket and its WebSocket: however the bytes are cut, tensors reach their receiver whole and everything
// else reaches the WebSocket unchanged.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamedHead } from '../../../../proto/codec.ts';
import { ProtocolError } from '../../../../proto/error.ts';
import { limits } from '../../../../proto/limits.ts';
import { TensorTap } from '../../../../proto/transport/tensor-tap.ts';
import { checksOf, decoded, encoded, tensorMessage } from '../../../support/sealing.ts';

const large = limits.streamedMessageBytesMin;
const head = { type: 'sum', generation: 1, step: 2, bucket: 3, offset: 64 } as const;

/** A frame of RFC 6455, 5.2. */
function frame(payload: Uint8Array, { first = 0x82, key = null as readonly number[] | null } = {}): Buffer {
  const size = payload.length;
  const maskBit = key === null ? 0 : 0x80;
  const length =
    size < 126
      ? [maskBit | size]
      : size < 65_536
        ? [maskBit | 126, size >>> 8, size & 255]
        : [maskBit | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (size >>> shift) & 255)];
  return Buffer.concat([Buffer.from([first, ...length, ...(key ?? [])]), payload]);
}

function tensor(dataBytes: number, checks = checksOf()): { message: Uint8Array; data: Uint8Array } {
  const data = Uint8Array.from({ length: dataBytes }, (_, i) => (i * 31 + (i >>> 8)) & 255);
  return { message: tensorMessage(head, data, checks).message, data };
}

interface Seen {
  readonly passed: Buffer[];
  readonly taken: { head: StreamedHead; dataBytes: number; bytes: number[]; ended: boolean }[];
  readonly whole: Uint8Array[];
  readonly errors: unknown[];
}

function tapped(masked: boolean, takes: 'all' | 'none' | 'throws' = 'all'): { tap: TensorTap; seen: Seen } {
  const seen: Seen = { passed: [], taken: [], whole: [], errors: [] };
  const tap = new TensorTap({
    masked,
    frameBytesMax: 1 << 20,
    checks: checksOf(),
    passOn: (bytes) => seen.passed.push(Buffer.from(bytes)),
    open: (opened, dataBytes) => {
      if (takes === 'throws') throw new ProtocolError('size', 'not of this size');
      if (takes === 'none') return null;
      const one = { head: opened, dataBytes, bytes: [] as number[], ended: false };
      seen.taken.push(one);
      return {
        write: (bytes) => {
          expect(bytes.length % 4).toBe(0);
          one.bytes.push(...bytes);
        },
        end: () => {
          one.ended = true;
        },
      };
    },
    whole: (message) => seen.whole.push(message),
    failed: (error) => seen.errors.push(error),
  });
  return { tap, seen };
}

function feed(tap: TensorTap, bytes: Uint8Array, cuts: readonly number[]): void {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    tap.write(bytes.subarray(at, end));
    at = end;
  }
}

const cutsArbitrary = fc.array(fc.nat(), { maxLength: 12 });
const zero = [0, 0, 0, 0];

describe('the tap', () => {
  it('takes tensors and passes on the rest, however the bytes are cut', () => {
    const checks = checksOf();
    const [first, second, third] = [0, 1, 2].map(() => frame(tensor(large, checks).message)) as Buffer[];
    const { data } = tensor(large);
    const small = frame(
      encoded({ type: 'sum', generation: 1, step: 1, bucket: 0, offset: 0, data: new Uint8Array(40) }),
    );
    const ping = frame(new Uint8Array(0), { first: 0x89 });
    const stream = Buffer.concat([small, first!, ping, small, second!, third!, small]);
    const near = [small.length + 1, small.length + 4, small.length + 9, small.length + 60, small.length + 61];
    fc.assert(
      fc.property(cutsArbitrary, fc.subarray(near), (cuts, more) => {
        const { tap, seen } = tapped(false);
        feed(tap, stream, [...cuts, ...more]);
        expect(Buffer.compare(Buffer.concat(seen.passed), Buffer.concat([small, ping, small, small]))).toBe(
          0,
        );
        expect(seen.taken).toHaveLength(3);
        for (const one of seen.taken) {
          expect(one.head).toEqual(head);
          expect(one.dataBytes).toBe(data.length);
          expect(one.ended).toBe(true);
          expect(Buffer.compare(Buffer.from(one.bytes), data)).toBe(0);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('reads byte by byte, with lengths of each form and a zero key', () => {
    const { message, data } = tensor(70_000);
    const { tap, seen } = tapped(true);
    for (const byte of frame(message, { key: zero })) tap.write(Uint8Array.of(byte));
    expect(Buffer.compare(Buffer.from(seen.taken[0]!.bytes), data)).toBe(0);
    expect(seen.passed).toHaveLength(0);
  });

  it.each([
    ['a key that is not zero', frame(tensor(large).message, { key: [0, 0, 1, 0] }), true],
    ['a key where none belongs', frame(tensor(large).message, { key: zero }), false],
    ['no key where one belongs', frame(tensor(large).message), true],
    ['a text frame', frame(tensor(large).message, { first: 0x81 }), false],
    ['a reserved bit', frame(tensor(large).message, { first: 0xc2 }), false],
    ['the start of a fragmented message', frame(tensor(large).message, { first: 0x02 }), false],
    ['a frame that is too large', frame(tensor(1 << 20).message), false],
    ['a frame behind the end', Buffer.concat([frame(new Uint8Array(0), { first: 0x88 }), frame(tensor(large).message)]), false], // biome-ignore format: a row
  ])('leaves %s to the WebSocket', (_what, bytes, masked) => {
    const { tap, seen } = tapped(masked);
    feed(tap, bytes, [3, 700, 9000]);
    expect(Buffer.compare(Buffer.concat(seen.passed), bytes)).toBe(0);
    expect(seen.taken).toHaveLength(0);
  });

  it('puts together what nobody takes: other heads, other messages, sizes that do not agree', () => {
    const good = tensor(large).message;
    const other = encoded({ ...head, data: new Uint8Array(large) });
    const longer = new Uint8Array(good.length + 4);
    longer.set(good);
    for (const [message, takes] of [
      [good, 'none'],
      [other, 'all'],
      [longer, 'all'],
      [new Uint8Array(large), 'all'],
    ] as const) {
      // biome-ignore format: rows
      const { tap, seen } = tapped(false, takes);
      feed(tap, Buffer.concat([frame(message), frame(message)]), [1, 30, 5000, 16_500]);
      expect(seen.taken).toHaveLength(0);
      expect(seen.whole).toHaveLength(2);
      for (const whole of seen.whole) expect(Buffer.compare(whole, message)).toBe(0);
    }
  });

  it('tells of a tensor that is refused, drops it and reads on', () => {
    const { tap, seen } = tapped(false, 'throws');
    const ping = frame(new Uint8Array(0), { first: 0x89 });
    feed(tap, Buffer.concat([frame(tensor(large).message), ping]), [20, 200, 9000]);
    expect(seen.errors).toHaveLength(1);
    expect(Buffer.compare(Buffer.concat(seen.passed), ping)).toBe(0);
    tap.stop();
    feed(tap, Buffer.concat([frame(tensor(large).message), ping]), [20, 200, 9000]);
    expect(seen.errors).toHaveLength(1);
    expect(seen.whole).toHaveLength(0);
  });
});

describe('a message that is not as it was sent', () => {
  /** What came of these bytes at a tap whose receiver keeps nothing. */
  function outcome(bytes: Uint8Array, cut = 0, throws: Error | null = null): string[] {
    const told: string[] = [];
    const tap = new TensorTap({
      masked: false,
      frameBytesMax: 1 << 20,
      checks: checksOf(),
      passOn: () => told.push('passed'),
      open: () => {
        if (throws !== null) throw throws;
        return { write: () => undefined, end: () => told.push('end') };
      },
      whole: (message) => told.push(codeOf(() => decoded(message, 'peer'))),
      failed: (error) => told.push((error as ProtocolError).code),
    });
    tap.write(bytes.subarray(0, cut));
    tap.write(bytes.subarray(cut));
    return told;
  }

  const good = frame(tensor(large).message);
  const headerBytes = good.length - tensor(large).message.length;

  it('is taken when it is, cut in two anywhere', () => {
    for (let cut = 0; cut <= good.length; cut++) expect(outcome(good, cut)).toEqual(['end']);
  });

  it('is refused with any bit of its seal and head flipped, and a bit of any byte of its tensor; end() is not called', () => {
    const flips = new Uint8Array(good);
    for (let at = headerBytes; at < good.length; at++) {
      const bits = at < headerBytes + 96 ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8];
      for (const bit of bits) {
        flips[at]! ^= 1 << bit;
        expect(outcome(flips, (at * 7) % good.length)).toEqual(['corrupt']);
        flips[at]! ^= 1 << bit;
      }
    }
  });

  it('is refused where bytes are missing or added: what follows fills it, or is no frame', () => {
    for (const at of [headerBytes, headerBytes + 6, headerBytes + 50, headerBytes + 5_000]) {
      const without = Buffer.concat([good.subarray(0, at), good.subarray(at + 1), good]);
      const within = Buffer.concat([good.subarray(0, at), Buffer.of(1), good.subarray(at)]);
      expect(outcome(without)[0]).toBe('corrupt');
      expect(outcome(within)[0]).toBe('corrupt');
    }
  });

  it("is the wire's fault though its head does not fit, and the sender's where it is intact", () => {
    const size = new ProtocolError('size', 'not of this size');
    const changed = Buffer.from(good);
    changed[headerBytes + 60]! ^= 1;
    expect(outcome(good, 0, size)).toEqual(['size']);
    expect(outcome(changed, 0, size)).toEqual(['corrupt']);
  });

  it('is refused when it comes twice, or after one that did not come', () => {
    const checks = checksOf();
    const [first, second, third] = [0, 1, 2].map(() => frame(tensor(large, checks).message)) as Buffer[];
    expect(outcome(Buffer.concat([first!, second!, third!]))).toEqual(['end', 'end', 'end']);
    expect(outcome(Buffer.concat([first!, first!]))).toEqual(['end', 'corrupt']);
    expect(outcome(Buffer.concat([first!, third!]))).toEqual(['end', 'corrupt']);
    expect(outcome(second!)).toEqual(['corrupt']);
  });
});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return 'none';
}
