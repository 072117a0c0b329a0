// Hostile variants of good messages, drawn from a seed: the same seed gives the same bytes. Half of them change bytes, half
// change the value before it is packed, so that both the reader of msgpack and the table of messages are reached. Whether
// they are sealed is the caller's.

import { pack } from 'msgpackr';

/** Numbers from a seed (xorshift32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e37_79b9) >>> 0 || 1;
    for (let i = 0; i < 8; i++) this.uint32();
  }

  uint32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** 0 .. end - 1. */
  below(end: number): number {
    return this.uint32() % Math.max(1, end);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

type Bytes = Uint8Array<ArrayBuffer>;

function joined(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Lengths and kinds that a reader may stumble over: each form of text, binary, list, map and extension, with lengths that lie. */
const heads: readonly (readonly number[])[] = [
  [0xd9, 0xff],
  [0xda, 0xff, 0xff],
  [0xdb, 0xff, 0xff, 0xff, 0xff],
  [0xdb, 0x7f, 0xff, 0xff, 0xff],
  [0xc4, 0xff],
  [0xc5, 0xff, 0xff],
  [0xc6, 0xff, 0xff, 0xff, 0xff],
  [0xdc, 0xff, 0xff],
  [0xdd, 0xff, 0xff, 0xff, 0xff],
  [0xde, 0xff, 0xff],
  [0xdf, 0xff, 0xff, 0xff, 0xff],
  [0x8f],
  [0x9f],
  [0xbf],
  [0xc1],
  [0xc7, 0x04, 0xff],
  [0xc9, 0xff, 0xff, 0xff, 0xff, 0x62],
  [0xd4, 0x72, 0x40],
  [0xd6, 0xff, 0, 0, 0, 0],
  [0xd8, 0x01],
  [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0xca, 0xff, 0x80, 0, 0],
];

type ByteChange = (frame: Bytes, chance: Chance, other: Bytes) => Uint8Array;

const byteChanges: readonly ByteChange[] = [
  function changeBytes(frame, chance) {
    const changed = frame.slice();
    for (let left = 1 + chance.below(8); left > 0; left--)
      changed[chance.below(frame.length)] = chance.below(256);
    return changed;
  },
  function flipBit(frame, chance) {
    const changed = frame.slice();
    changed[chance.below(frame.length)]! ^= 1 << chance.below(8);
    return changed;
  },
  (frame, chance) => frame.slice(0, chance.below(frame.length)),
  (frame, chance) => frame.slice(chance.below(frame.length)),
  function insert(frame, chance) {
    const at = chance.below(frame.length + 1);
    const more = Uint8Array.from({ length: 1 + chance.below(16) }, () => chance.below(256));
    return joined(frame.subarray(0, at), more, frame.subarray(at));
  },
  function remove(frame, chance) {
    const at = chance.below(frame.length);
    return joined(frame.subarray(0, at), frame.subarray(at + 1 + chance.below(16)));
  },
  function repeat(frame, chance) {
    const at = chance.below(frame.length);
    const run = frame.subarray(at, at + 1 + chance.below(32));
    return joined(frame.subarray(0, at), run, run, frame.subarray(at));
  },
  function swap(frame, chance) {
    const [a, b, c] = [0, 0, 0].map(() => chance.below(frame.length)).sort((x, y) => x - y) as [
      number,
      number,
      number,
    ];
    return joined(frame.subarray(0, a), frame.subarray(b, c), frame.subarray(a, b), frame.subarray(c));
  },
  function splice(frame, chance, other) {
    return joined(frame.subarray(0, chance.below(frame.length)), other.subarray(chance.below(other.length)));
  },
  (frame, _chance, other) => joined(frame, other),
  function lie(frame, chance) {
    const at = chance.below(frame.length);
    const keep = chance.below(2);
    return joined(frame.subarray(0, at), Uint8Array.from(chance.pick(heads)), frame.subarray(at + keep));
  },
  function nest(frame, chance) {
    const at = chance.below(frame.length);
    const depth = 1 + chance.below(chance.below(4) === 0 ? 5_000 : 8);
    const open = chance.below(2) === 0 ? [0x91] : [0x81, 0xa1, 0x61];
    const opened = Uint8Array.from({ length: depth * open.length }, (_, i) => open[i % open.length]!);
    return joined(frame.subarray(0, at), opened, frame.subarray(at));
  },
  function keyTwice(frame, chance) {
    if ((frame[0]! & 0xf0) !== 0x80) return frame.slice(1);
    const twice = joined(
      frame,
      pack(chance.pick(['type', 'generation', 'step', '__proto__'])),
      pack(junk(chance)),
    );
    twice[0] = frame[0]! === 0x8f ? 0x8f : frame[0]! + 1;
    return twice;
  },
];

const evilKeys = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'length',
  '',
  'type',
  'then',
];

/** A value that may be where another is meant. */
function junk(chance: Chance): unknown {
  switch (chance.below(16)) {
    case 0:
      return null;
    case 1:
      return chance.below(2) === 0;
    case 2:
      return -chance.uint32();
    case 3:
      return chance.pick([2 ** 31, 2 ** 32, 2 ** 48 + 1, 2 ** 53, 2 ** 64, 1e308, 0.5]);
    case 4:
      return chance.pick([Number.NaN, Number.POSITIVE_INFINITY, -0, Number.NEGATIVE_INFINITY]);
    case 5:
      return 2n ** 63n - BigInt(chance.below(3));
    case 6:
      return 'x'.repeat(chance.below(5_000));
    case 7:
      return chance.pick([
        '',
        '__proto__',
        'hello',
        '\u0000',
        '\ud800',
        '../../etc/passwd',
        '{"type":"done"}',
      ]);
    case 8:
      return new Uint8Array(chance.below(4_099));
    case 9:
      return new Array(chance.below(300)).fill(chance.below(3));
    case 10:
      return JSON.parse(`{"${chance.pick(evilKeys)}":{"polluted":true}}`);
    case 11:
      return { [chance.pick(evilKeys)]: { [chance.pick(evilKeys)]: junk(chance) } };
    case 12:
      return new Date(chance.uint32());
    case 13:
      return new Map<unknown, unknown>([[chance.below(9), 1]]);
    case 14:
      return Array.from({ length: chance.below(6) }, () => junk(chance));
    default:
      return chance.uint32();
  }
}

type Values = Record<string, unknown>;
type ValueChange = (message: Values, chance: Chance, other: Values) => unknown;

/** A map with this key as its own, `__proto__` too. */
const withKey = (message: Values, key: string, value: unknown): Values =>
  Object.defineProperty({ ...message }, key, { value, enumerable: true, configurable: true, writable: true });

const valueChanges: readonly ValueChange[] = [
  (message, chance) => ({ ...message, [chance.pick(Object.keys(message))]: junk(chance) }),
  (message, chance) => withKey(message, chance.pick(evilKeys), junk(chance)),
  function drop(message, chance) {
    const { [chance.pick(Object.keys(message))]: _, ...rest } = message;
    return rest;
  },
  function rename(message, chance) {
    const key = chance.pick(Object.keys(message));
    const { [key]: value, ...rest } = message;
    return withKey(rest, chance.pick([...evilKeys, key.toUpperCase()]), value);
  },
  function swapValues(message, chance) {
    const [a, b] = [chance.pick(Object.keys(message)), chance.pick(Object.keys(message))];
    return { ...message, [a]: message[b], [b]: message[a] };
  },
  (message, _chance, other) => ({ ...message, type: other.type }),
  (message, chance, other) => ({
    ...message,
    [chance.pick(Object.keys(message))]: chance.pick(Object.values(other)),
  }),
  (message, chance, other) => ({ ...message, [chance.pick(Object.keys(message))]: other }),
  (message, chance) => ({
    ...message,
    [chance.pick(Object.keys(message))]: [chance.pick(Object.values(message))],
  }),
  function inside(message, chance) {
    const key = chance.pick(Object.keys(message));
    const value = message[key];
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array)
      return { ...message, [key]: junk(chance) };
    const entries = Object.entries(value);
    const changed = withKey(
      value as Values,
      chance.pick([...evilKeys, ...entries.map(([name]) => name)]),
      junk(chance),
    );
    return { ...message, [key]: Array.isArray(value) ? [...value, junk(chance)] : changed };
  },
  (message) => [message],
  (message, _chance, other) => ({ ...other, ...message }),
  (_message, chance) => junk(chance),
];

export interface Base {
  readonly message: object;
  /** Packed, not sealed. */
  readonly bytes: Uint8Array;
}

/** Other bytes in place of these, with parts of `other`; they may come out the same. */
export function changedBytes(bytes: Uint8Array, other: Uint8Array, chance: Chance): Uint8Array {
  return chance.pick(byteChanges)(bytes.slice(), chance, other.slice());
}

/** One hostile message made of `base`, with parts of `other`. */
export function mutated(base: Base, other: Base, chance: Chance): Uint8Array {
  if (chance.below(2) === 0) {
    const bytes = changedBytes(base.bytes, other.bytes, chance);
    return chance.below(4) === 0 ? changedBytes(joined(bytes, Uint8Array.of(0)), other.bytes, chance) : bytes;
  }
  const value = chance.pick(valueChanges)(base.message as Values, chance, other.message as Values);
  return pack(value);
}
