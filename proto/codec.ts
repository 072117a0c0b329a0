// Messages to bytes and back: a message with its seal (seal.ts) is one msgpack value, one WebSocket message. Binary fields
// are not copied on decoding (they are views of the frame, aligned to nothing). Tensor messages have a second way out,
// writeTensorHead, which writes all but the tensor, so that the floats can go to the socket from where they lie.

import { Packr, Unpackr } from 'msgpackr';
import { ProtocolError } from './error.ts';
import {
  type Across,
  across,
  checkMessage,
  type End,
  type Message,
  type MessageFrom,
  type MessageOf,
  messages,
} from './messages.ts';
import {
  corruption,
  type MessageChecks,
  readSeal,
  readUint32,
  seal,
  sealBytes,
  unsealed,
  writeUint32,
} from './seal.ts';
import { malformation } from './well-formed.ts';

const packer = new Packr({ useRecords: false, variableMapSize: true, moreTypes: false });
const unpacker = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

export function encodeMessage(message: Message, checks: MessageChecks): Uint8Array {
  const frame = packer.pack([unsealed, message]);
  seal(frame, [], checks);
  return frame;
}

/** Checks and decodes one frame as received by `local` (so sent by the end across). Throws ProtocolError. */
export function decodeMessage<E extends End>(
  sealed: Uint8Array,
  local: E,
  checks: MessageChecks,
): MessageFrom<Across<E>> {
  const frame = sealed.subarray(sealBytes);
  if (checks.begin(frame) !== readSeal(sealed)) throw corruption();
  const problem = malformation(frame);
  if (problem !== null) throw new ProtocolError('malformed', problem);
  let value: unknown;
  try {
    value = unpacker.unpack(frame);
  } catch {
    throw new ProtocolError('malformed', 'not a msgpack value');
  }
  return checkMessage(value, across[local] as Across<E>);
}

/** Messages that are a few whole numbers and then a tensor. */
export type TensorType = 'partial' | 'sum' | 'exchange' | 'shardReport';
export type TensorHead = { [T in TensorType]: Omit<MessageOf<T>, 'data'> }[TensorType];

const text = new TextEncoder();

/** Tensors start at a multiple of this in their message: copies between unlike alignments are many times slower. */
const tensorAlignment = 8;

/** A text with its length in the shortest form, or in one that is 1 or 2 bytes longer. */
function pushText(out: number[], value: string, padding: number): void {
  const encoded = text.encode(value);
  if (padding === 0) out.push(0xa0 | encoded.length);
  else if (padding === 1) out.push(0xd9, encoded.length);
  else out.push(0xda, 0, encoded.length);
  out.push(...encoded);
}

interface HeadTemplate {
  readonly bytes: Uint8Array;
  readonly names: readonly string[];
  /** Where the 32-bit value of each name goes, then the length of the tensor. */
  readonly slots: readonly number[];
}

/** With room for the seal. All numbers as uint32, so that the length is fixed; padded by longer forms of the lengths of its texts. */
function headTemplate(type: TensorType, names: readonly string[]): HeadTemplate {
  const build = (padding: number): { out: number[]; slots: number[] } => {
    const out: number[] = [...new Array<number>(sealBytes).fill(0), 0x80 | (names.length + 2)];
    const slots: number[] = [];
    let left = padding;
    const push = (value: string): void => {
      const own = Math.min(left, 2);
      left -= own;
      pushText(out, value, own);
    };
    push('type');
    push(type);
    for (const name of names) {
      push(name);
      out.push(0xce, 0, 0, 0, 0);
      slots.push(out.length - 4);
    }
    push('data');
    out.push(0xc6, 0, 0, 0, 0);
    slots.push(out.length - 4);
    return { out, slots };
  };
  const unpadded = build(0).out.length;
  const { out, slots } = build((tensorAlignment - (unpadded % tensorAlignment)) % tensorAlignment);
  return { bytes: Uint8Array.from(out), names, slots };
}

const headTemplates: { readonly [T in TensorType]: HeadTemplate } = {
  partial: headTemplate('partial', ['generation', 'step', 'bucket', 'offset']),
  sum: headTemplate('sum', ['generation', 'step', 'bucket', 'offset']),
  exchange: headTemplate('exchange', ['generation', 'step', 'exchange']),
  shardReport: headTemplate('shardReport', ['generation', 'step', 'flags']),
};

/** Bytes of the head of this type, its seal included; a multiple of 8, so that the tensor is aligned in its message. */
export function tensorHeadBytes(type: TensorType): number {
  return headTemplates[type].bytes.length;
}

/**
 * Writes the message but for its tensor, of which `dataBytes` must follow, at out[at ..], not sealed yet. The whole is the
 * same msgpack value as encodeMessage's, with longer forms of some numbers. Returns the position behind it.
 */
export function writeTensorHead(head: TensorHead, dataBytes: number, out: Uint8Array, at: number): number {
  const { bytes, names, slots } = headTemplates[head.type];
  out.set(bytes, at);
  const values = head as unknown as Readonly<Record<string, number>>;
  slots.forEach((slot, i) => {
    const name = names[i];
    writeUint32(name === undefined ? dataBytes : values[name]!, out, at + slot);
  });
  return at + bytes.length;
}

/** Bytes within which the head of every streamed tensor message ends. */
export const tensorHeadBytesMax = Math.max(...Object.values(headTemplates).map(({ bytes }) => bytes.length));

export type StreamedHead = Omit<MessageOf<'partial'>, 'data'> | Omit<MessageOf<'sum'>, 'data'>;

export interface WrittenHead {
  /** What the message's seal says: nothing of this is true before all of the message fits it. */
  readonly check: number;
  readonly head: StreamedHead;
  readonly headBytes: number;
  readonly dataBytes: number;
}

/**
 * The head that writeTensorHead wrote at the start of `bytes`, of the types that may be taken while they come. Null where
 * it is anything else (which may still be a good message, for decodeMessage) or its tensor is past its limit.
 */
export function readTensorHead(bytes: Uint8Array): WrittenHead | null {
  const check = readSeal(bytes);
  if (check === null) return null;
  for (const type of ['partial', 'sum'] as const) {
    const template = headTemplates[type];
    if (!isWrittenBy(template, bytes)) continue;
    const [generation, step, bucket, offset, dataBytes] = template.slots.map((at) => readUint32(bytes, at));
    const { bytesMax, unit } = messages[type].fields.data;
    if (dataBytes! > bytesMax || dataBytes! % unit !== 0) return null;
    const head = { type, generation: generation!, step: step!, bucket: bucket!, offset: offset! };
    return { check, head, headBytes: template.bytes.length, dataBytes: dataBytes! };
  }
  return null;
}

function isWrittenBy({ bytes: template, slots }: HeadTemplate, bytes: Uint8Array): boolean {
  if (bytes.length < template.length) return false;
  let slot = 0;
  for (let i = sealBytes; i < template.length; i++) {
    if (i === slots[slot]) {
      slot += 1;
      i += 3;
    } else if (bytes[i] !== template[i]) return false;
  }
  return true;
}
