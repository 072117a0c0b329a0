// Small tools of the simulated processes: work that is done one after another, and state that travels in pieces.

import type { MessageOf } from '../../proto/messages.ts';
import { stateFloats } from './arithmetic.ts';
import type { Host } from './clock.ts';

/** One task after another; each says when it is done. */
export class Serial {
  readonly #tasks: ((done: () => void) => void)[] = [];
  #busy = false;

  add(task: (done: () => void) => void): void {
    this.#tasks.push(task);
    if (!this.#busy) this.#next();
  }

  #next(): void {
    const task = this.#tasks.shift();
    this.#busy = task !== undefined;
    task?.(() => this.#next());
  }
}

export const stateBytes = 4 * stateFloats;
const pieceCount = 3;

/** Sends the state in a few pieces, with pauses in between as a full socket makes them. */
export function pieces(
  host: Host,
  state: Float32Array,
  generation: number,
  step: number,
  send: (piece: MessageOf<'statePiece'>) => boolean,
  done: () => void,
): void {
  const all = new Uint8Array(state.slice().buffer);
  const size = stateBytes / pieceCount;
  const sendNext = (offset: number): void => {
    const bytes = all.subarray(offset, offset + size);
    const piece = {
      type: 'statePiece',
      generation,
      step,
      section: 'state',
      offset,
      total: all.length,
      bytes,
    } as const;
    if (!send(piece) || offset + size >= all.length) done();
    else host.after(1, () => sendNext(offset + size));
  };
  sendNext(0);
}
