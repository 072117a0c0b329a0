// What a worker of the simulator sends that no honest one does: each lie is a change to one message, or another in its place.
// Numbers that are wrong but finite are among them where members then come to unlike states: what reaches all members alike,
// by way of the owner of a chunk, only a second computation of every step could tell.

import type { MessageFrom } from '../../proto/messages.ts';
import type { Random } from './clock.ts';

type Said = MessageFrom<'peer'>;
type Tensor = Extract<Said, { readonly data: Uint8Array }>;

/** NaN, numbers missing, a step to come, an old message, a place that is not there, another result for the same key. */
export const lies = ['notFinite', 'wrongShape', 'wrongStep', 'replay', 'wrongPlace', 'twoResults'] as const;
/**
 * Nothing about the message itself shows these: another finite number, to one peer or to all, from one that goes on with the right
 * one itself; another digest of its state than it has.
 */
export const quietLies = ['finiteToOne', 'finiteToAll', 'wrongDigest'] as const;
export type Lie = (typeof lies)[number] | (typeof quietLies)[number];

/** One bit of one number is another: it stays finite. */
export function withFlip<M extends { readonly data: Uint8Array } | { readonly bytes: Uint8Array }>(
  message: M,
  random: Random,
): M {
  const data = ('data' in message ? message.data : message.bytes).slice();
  // A bit of the mantissa: the numbers are little-endian.
  const at = 4 * random.below(data.length / 4) + random.below(2);
  data[at]! ^= 1 << random.below(8);
  return 'data' in message ? { ...message, data } : { ...message, bytes: data };
}

function withNaN(message: Tensor): Tensor {
  const data = message.data.slice();
  new DataView(data.buffer, data.byteOffset).setFloat32(0, Number.NaN, true);
  return { ...message, data };
}

function elsewhere(message: Tensor): Tensor {
  switch (message.type) {
    case 'partial':
    case 'sum':
      return { ...message, offset: message.offset + 1 };
    case 'exchange':
      return { ...message, exchange: message.exchange + 7 };
    case 'shardReport':
      return { ...message, data: new Uint8Array(message.data.length + 4) };
  }
}

/** One worker's lies: what it sends in place of an honest message. */
export class Liar {
  readonly lie: Lie;
  readonly #random: Random;
  /** Two of them tell unlike digests. */
  readonly #mask: number;
  /** An early one of this generation, to be sent again. */
  #kept: Tensor | null = null;
  /** It has lied. */
  hasLied = false;

  constructor(lie: Lie, random: Random) {
    this.lie = lie;
    this.#random = random;
    this.#mask = lie === 'wrongDigest' ? 1 + random.below(2 ** 31) : 0;
  }

  /** To the coordinator. */
  tells(message: MessageFrom<'worker'>): MessageFrom<'worker'> {
    const isOfState = message.type === 'digest' || (message.type === 'ready' && message.generation > 0);
    if (this.lie === 'wrongDigest' && isOfState) {
      this.hasLied = true;
      return { ...message, digest: (message.digest ^ this.#mask) >>> 0 };
    }
    if (this.#random.chance(0.5)) return message;
    const lied = this.#told(message);
    this.hasLied ||= lied !== message;
    return lied;
  }

  #told(message: MessageFrom<'worker'>): MessageFrom<'worker'> {
    const isCut = this.lie === 'wrongShape';
    const isMoved = this.lie === 'wrongPlace';
    switch (message.type) {
      case 'report':
        return isCut ? { ...message, sums: message.sums.slice(4) } : message;
      case 'evaluation':
        return isMoved ? { ...message, firstShard: message.firstShard + 1 } : message;
      case 'statePiece':
        return isMoved ? { ...message, offset: message.offset + 4 } : message;
      default:
        return message;
    }
  }

  /** `isFirst`: to the first of its peers. `isDirect`: every member adds the nodes itself. */
  says(message: Said, isFirst: boolean, isDirect: boolean): readonly Said[] {
    if (!('data' in message) || message.data.length === 0) return [message];
    if (this.lie === 'wrongDigest') return [message];
    if (this.lie === 'finiteToOne' || this.lie === 'finiteToAll') {
      const differs = message.type === 'sum' || (message.type === 'partial' && isDirect);
      if (!differs || (this.lie === 'finiteToOne' && !isFirst) || this.#random.chance(0.7)) return [message];
      this.hasLied = true;
      return [withFlip(message, this.#random)];
    }
    if (this.#kept?.generation !== message.generation) this.#kept = message;
    const isOld = message.step > this.#kept.step + 6;
    if (this.#random.chance(0.7) || (this.lie === 'replay' && !isOld)) return [message];
    this.hasLied = true;
    switch (this.lie) {
      case 'notFinite':
        return [withNaN(message)];
      case 'wrongShape':
        return [{ ...message, data: message.data.slice(4) }];
      case 'wrongStep':
        return [{ ...message, step: message.step + 5 }];
      case 'replay':
        return [this.#kept, message];
      case 'wrongPlace':
        return [elsewhere(message)];
      case 'twoResults':
        return [message, withNaN(message)];
    }
  }
}
