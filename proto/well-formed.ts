// Reads over a msgpack value without making anything of it: is it one whole value, of plain kinds, not too deep and
// not of too many parts? Run ahead of the decoder, so that no bytes can make it allocate more than they weigh,
// construct a class, or run past the end.

import { limits } from './limits.ts';

let items = 0;

/** What keeps `frame` from being exactly one plain msgpack value with text keys; null when nothing does. */
export function malformation(frame: Uint8Array): string | null {
  items = 0;
  const end = skip(frame, 0, 0);
  if (end < 0) return 'not a msgpack value of the allowed kinds, or cut short';
  return end === frame.length ? null : 'bytes follow the message';
}

/** Position behind the value at `at`, or -1. */
function skip(frame: Uint8Array, at: number, depth: number): number {
  const token = frame[at];
  items += 1;
  if (token === undefined || depth > limits.depthMax || items > limits.itemsMax) return -1;
  if (token <= 0x7f || token >= 0xe0) return at + 1;
  if (token <= 0x8f) return skipItems(frame, at + 1, token & 0x0f, true, depth);
  if (token <= 0x9f) return skipItems(frame, at + 1, token & 0x0f, false, depth);
  if (token <= 0xbf) return within(frame, at + 1 + (token & 0x1f));
  switch (token) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return at + 1;
    case 0xc4: // bin 8, 16, 32
    case 0xd9: // str 8, 16, 32
      return skipRun(frame, at + 1, 1);
    case 0xc5:
    case 0xda:
      return skipRun(frame, at + 1, 2);
    case 0xc6:
    case 0xdb:
      return skipRun(frame, at + 1, 4);
    case 0xca: // float 32, 64
      return within(frame, at + 5);
    case 0xcb:
      return within(frame, at + 9);
    case 0xcc: // uint and int of 8, 16, 32, 64 bits
    case 0xd0:
      return within(frame, at + 2);
    case 0xcd:
    case 0xd1:
      return within(frame, at + 3);
    case 0xce:
    case 0xd2:
      return within(frame, at + 5);
    case 0xcf:
    case 0xd3:
      return within(frame, at + 9);
    case 0xdc: // array 16, 32
      return skipItems(frame, at + 3, length(frame, at + 1, 2), false, depth);
    case 0xdd:
      return skipItems(frame, at + 5, length(frame, at + 1, 4), false, depth);
    case 0xde: // map 16, 32
      return skipItems(frame, at + 3, length(frame, at + 1, 2), true, depth);
    case 0xdf:
      return skipItems(frame, at + 5, length(frame, at + 1, 4), true, depth);
    default: // extensions, and the byte that is never used
      return -1;
  }
}

function within(frame: Uint8Array, end: number): number {
  return end <= frame.length ? end : -1;
}

/** A big-endian length of 1, 2 or 4 bytes; -1 where the frame ends too soon. */
function length(frame: Uint8Array, at: number, size: 1 | 2 | 4): number {
  if (at + size > frame.length) return -1;
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + frame[at + i]!;
  return value;
}

function skipRun(frame: Uint8Array, at: number, size: 1 | 2 | 4): number {
  const run = length(frame, at, size);
  return run < 0 ? -1 : within(frame, at + size + run);
}

function skipItems(frame: Uint8Array, from: number, count: number, isMap: boolean, depth: number): number {
  if (count < 0) return -1;
  let at = from;
  for (let i = 0; i < count && at >= 0; i++) {
    if (isMap) {
      const token = frame[at] ?? 0;
      const isText = (token >= 0xa0 && token <= 0xbf) || (token >= 0xd9 && token <= 0xdb);
      if (!isText) return -1;
      at = skip(frame, at, depth + 1);
      if (at < 0) return -1;
    }
    at = skip(frame, at, depth + 1);
  }
  return at;
}
