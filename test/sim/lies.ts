// What a worker of the simulator sends that no honest one does: each lie is a change to one message, or another in its place.
// Numbers that are wrong but finite are not among them: only an audit could tell.

import type { MessageFrom } from '../../proto/messages.ts';
import type { Random } from './clock.ts';

type Said = MessageFrom<'peer'>;
type Tensor = Extract<Said, { readonly data: Uint8Array }>;

/** NaN, numbers missing, a step to come, an old message, a place that is not there, another result for the same key. */
export const lies = ['notFinite', 'wrongShape', 'wrongStep', 'replay', 'wrongPlace', 'twoResults'] as const;
export type Lie = (typeof lies)[number];

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
  /** An early one of this generation, to be sent again. */
  #kept: Tensor | null = null;
  /** It has lied. */
  hasLied = false;

  constructor(lie: Lie, random: Random) {
    this.lie = lie;
    this.#random = random;
  }

  /** To the coordinator. */
  tells(message: MessageFrom<'worker'>): MessageFrom<'worker'> {
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

  says(message: Said): readonly Said[] {
    if (!('data' in message) || message.data.length === 0) return [message];
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
