// Sealed messages for tests that write bytes themselves: each with the seal of the first message of its connection, or
// with that of the connection it is sent on.

import { crc32 } from 'node:zlib';
import { pack } from 'msgpackr';
import {
  decodeMessage,
  encodeMessage,
  type TensorHead,
  tensorHeadBytes,
  writeTensorHead,
} from '../../proto/codec.ts';
import type { Across, End, Message, MessageFrom } from '../../proto/messages.ts';
import { MessageChecks, seal, sealBytes } from '../../proto/seal.ts';

/** Of one direction of a connection that is made of Node's own parts. */
export function checksOf(): MessageChecks {
  return new MessageChecks(crc32);
}

/** These bytes, whatever they are, sealed. */
export function sealed(bytes: Uint8Array, checks: MessageChecks = checksOf()): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(sealBytes + bytes.length);
  frame.set(bytes, sealBytes);
  seal(frame, [], checks);
  return frame;
}

/** This value, whatever it is, as a sealed message. */
export function sealedValue(value: unknown): Uint8Array<ArrayBuffer> {
  return sealed(pack(value));
}

export function encoded(message: Message, checks: MessageChecks = checksOf()): Uint8Array {
  return encodeMessage(message, checks);
}

export function decoded<E extends End>(frame: Uint8Array, local: E): MessageFrom<Across<E>> {
  return decodeMessage(frame, local, checksOf());
}

/** A whole tensor message as it is streamed. */
export function tensorMessage(
  head: TensorHead,
  data: Uint8Array,
  checks: MessageChecks = checksOf(),
): { readonly message: Uint8Array<ArrayBuffer>; readonly headEnd: number } {
  const message = new Uint8Array(tensorHeadBytes(head.type) + data.length);
  const headEnd = writeTensorHead(head, data.length, message, 0);
  message.set(data, headEnd);
  seal(message, [], checks);
  return { message, headEnd };
}
