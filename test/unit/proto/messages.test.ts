// Every message goes out and comes back the same; every piece of one, and every change of its shape, is refused.

import fc from 'fast-check';
import { pack } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import type { TensorHead, TensorType } from '../../../proto/codec.ts';
import { ProtocolError } from '../../../proto/error.ts';
import type { Field } from '../../../proto/fields.ts';
import { limits } from '../../../proto/limits.ts';
import { type End, type Message, type MessageType, messages, messageTypes } from '../../../proto/messages.ts';
import { sealBytes } from '../../../proto/seal.ts';
import { decoded, encoded, sealed, sealedValue, tensorMessage } from '../../support/sealing.ts';
import { messageArbitrary } from './arbitraries.ts';

/** An end that may receive messages of this type. */
function receiver(type: MessageType): End {
  const { direction } = messages[type];
  return direction === 'peer' ? 'peer' : direction === 'down' ? 'worker' : 'coordinator';
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return 'none';
}

const plain = (message: object): unknown =>
  Object.fromEntries(
    Object.entries(message).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Array.from(value) : value,
    ]),
  );

describe.each(messageTypes)('message %s', (type) => {
  const arbitrary = messageArbitrary(type);
  const local = receiver(type);

  it('survives a round trip', () => {
    fc.assert(
      fc.property(arbitrary, (message) => {
        expect(plain(decoded(encoded(message), local))).toEqual(plain(message));
      }),
      { numRuns: 50 },
    );
  });

  it('is refused when cut short or followed by something', () => {
    fc.assert(
      fc.property(arbitrary, (message) => {
        const frame = encoded(message);
        const bare = frame.subarray(sealBytes);
        for (let size = 0; size < frame.length; size++)
          expect(codeOf(() => decoded(frame.subarray(0, size), local))).toBe('corrupt');
        for (let size = 0; size < bare.length; size++)
          expect(codeOf(() => decoded(sealed(bare.subarray(0, size)), local))).toBe('malformed');
        const longer = new Uint8Array(frame.length + 1);
        longer.set(frame);
        expect(codeOf(() => decoded(longer, local))).toBe('corrupt');
        expect(codeOf(() => decoded(sealed(longer.subarray(sealBytes)), local))).toBe('malformed');
        expect(codeOf(() => decoded(bare, local))).toBe('corrupt');
      }),
      { numRuns: 10 },
    );
  });

  it('is refused with a key too many, too few, or from the wrong end', () => {
    const message = fc.sample(arbitrary, { numRuns: 1, seed: 1 })[0]!;
    expect(codeOf(() => decoded(sealedValue({ ...message, extra: 1 }), local))).toBe('invalid');
    for (const name of Object.keys(messages[type].fields)) {
      const { [name]: _, ...rest } = message as unknown as Record<string, unknown>;
      expect(codeOf(() => decoded(sealedValue(rest), local))).toBe('invalid');
    }
    if (messages[type].direction !== 'either' && messages[type].direction !== 'any') {
      const others = (['coordinator', 'worker', 'peer'] as const).filter((end) => end !== local);
      for (const other of others)
        expect(codeOf(() => decoded(sealedValue(message), other))).toBe('unexpected');
    }
  });

  it('is refused with any field past its limit or of another kind', () => {
    const message = fc.sample(arbitrary, { numRuns: 1, seed: 2 })[0]!;
    for (const [name, field] of Object.entries(messages[type].fields) as [string, Field][]) {
      for (const wrong of wrongValues(field))
        expect(
          codeOf(() => decoded(sealedValue({ ...message, [name]: wrong }), local)),
          name,
        ).toBe('invalid');
    }
  });

  it('is refused as corrupt with any byte changed; sealed again it is refused or still keeps to the table', () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, place, change) => {
        const frame = Uint8Array.from(encoded(message));
        frame[place % frame.length]! ^= change;
        expect(codeOf(() => decoded(frame, local))).toBe('corrupt');
        expect(codeOf(() => decoded(sealed(frame.subarray(sealBytes)), local))).not.toBe('corrupt');
      }),
      { numRuns: 100 },
    );
  });
});

function wrongValues(field: Field): unknown[] {
  const others = [null, [[]], { a: 1 }];
  switch (field.kind) {
    case 'integer':
      return [...others, field.max + 1, field.min - 1, 0.5, Number.NaN, '1', true];
    case 'number':
      return [...others, '1', false];
    case 'flag':
      return [...others, 0, 'true'];
    case 'text':
      return [...others, 'x'.repeat(field.charsMax + 1), 1];
    case 'hex':
      return [...others, 'a'.repeat(field.chars - 1), 'A'.repeat(field.chars), 'g'.repeat(field.chars)];
    case 'choice':
      return [...others, 'other', 0];
    case 'bytes':
      return [
        ...others,
        'text',
        new Uint8Array(field.bytesMax + field.unit),
        ...(field.unit > 1 ? [new Uint8Array(field.unit + 1)] : []),
      ];
    case 'list':
      return [null, {}, 'text', new Array(field.itemsMax + 1).fill(0)];
    case 'record':
      return [null, [], 'text', { 'not a name': 'a' }, { a: 1 }];
    case 'object':
      return [null, [], 'text', {}];
    default:
      return field satisfies never;
  }
}

describe('bytes that are no message', () => {
  const refused = (bytes: Uint8Array): string => codeOf(() => decoded(sealed(bytes), 'coordinator'));

  it('refuses anything at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(refused(bytes)).not.toBe('none');
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses extensions, deep nesting, too many parts and keys that are no text', () => {
    expect(refused(Uint8Array.of(0xd4, 0x00, 0x00))).toBe('malformed');
    expect(refused(Uint8Array.of(0xc1))).toBe('malformed');
    expect(refused(pack(new Date()))).toBe('malformed');
    expect(refused(Uint8Array.from({ length: 1000 }, () => 0x91))).toBe('malformed');
    expect(refused(pack(new Array(limits.itemsMax + 1).fill(0)))).toBe('malformed');
    expect(refused(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff))).toBe('malformed');
    expect(refused(Uint8Array.of(0x81, 0x01, 0x01))).toBe('malformed');
  });

  it('refuses types and keys of the prototype', () => {
    for (const type of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'nothing'])
      expect(refused(pack({ type }))).toBe('unknownType');
    const kernelHashes = JSON.parse(`{"__proto__": "${'0'.repeat(64)}"}`);
    const hello = fc.sample(messageArbitrary('hello'), { numRuns: 1, seed: 1 })[0]! as Message & {
      type: 'hello';
    };
    expect(refused(pack({ ...hello, kernelHashes }))).toBe('invalid');
    expect(refused(pack(JSON.parse('{"type": "dataRequest", "__proto__": {"a": 1}}')))).toBe('invalid');
    expect(refused(pack('text'))).toBe('invalid');
    expect(refused(pack({ type: 7 }))).toBe('unknownType');
  });
});

describe('the head of a tensor message', () => {
  const types: readonly TensorType[] = ['partial', 'sum', 'exchange', 'shardReport'];

  it.each(types)('makes the same message of %s as the encoder, with its tensor aligned', (type) => {
    fc.assert(
      fc.property(messageArbitrary(type), (message) => {
        const { data, ...head } = message as Message & { data: Uint8Array };
        const { message: frame, headEnd } = tensorMessage(head as unknown as TensorHead, data);
        expect(headEnd % 8).toBe(0);
        const again = decoded(frame, 'peer') as Message & { data: Uint8Array };
        expect(plain(again)).toEqual(plain(message));
        expect(again.data.buffer).toBe(frame.buffer);
      }),
      { numRuns: 100 },
    );
  });
});
