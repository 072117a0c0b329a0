// Arbitrary messages for property tests, made from the table of messages itself: a new message is covered at once.

import fc from 'fast-check';
import type { Field, Fields } from '../../../proto/fields.ts';
import { type Message, type MessageType, messages } from '../../../proto/messages.ts';

const itemsMax = 5;
const charsMax = 40;
const bytesMax = 64;

const nameArbitrary = fc.stringMatching(/^[A-Za-z][A-Za-z0-9]{0,20}$/);

function fieldArbitrary(field: Field): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case 'integer':
      return fc.oneof(
        fc.integer({ min: field.min, max: Math.min(field.max, 2 ** 31 - 1) }),
        fc.constantFrom(field.min, field.max),
        fc
          .double({ min: 0, max: 1, noNaN: true })
          .map((part) => Math.floor(field.min + part * (field.max - field.min))),
      );
    case 'number':
      return fc.double().map((value) => value + 0); // -0 travels as 0
    case 'flag':
      return fc.boolean();
    case 'text':
      return fc.string({ unit: 'grapheme', maxLength: charsMax }).filter((t) => t.length <= field.charsMax);
    case 'hex':
      return fc.stringMatching(new RegExp(`^[0-9a-f]{${field.chars}}$`));
    case 'choice':
      return fc.constantFrom(...field.of);
    case 'bytes':
      return fc
        .uint8Array({ maxLength: bytesMax })
        .map((b) => b.slice(0, Math.floor(b.length / field.unit) * field.unit));
    case 'list':
      return fc.array(fieldArbitrary(field.of), { maxLength: Math.min(itemsMax, field.itemsMax) });
    case 'record':
      return fc
        .array(fc.tuple(nameArbitrary, fieldArbitrary(field.of)), { maxLength: itemsMax })
        .map((entries) => Object.fromEntries(entries));
    case 'object':
      return fieldsArbitrary(field.fields);
    default:
      return field satisfies never;
  }
}

function fieldsArbitrary(fields: Fields): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(
    Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, fieldArbitrary(field)])),
    { noNullPrototype: true },
  );
}

export function messageArbitrary(type: MessageType): fc.Arbitrary<Message> {
  return fieldsArbitrary(messages[type].fields).map((values) => ({ type, ...values }) as unknown as Message);
}
