// Small tools of the simulated processes: work that is done one after another, and state that travels in pieces.

import type { MessageOf } from '../../proto/messages.ts';
import { stateFloats } from './arithmetic.ts';
import type { End } from './network.ts';

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
export const pieceBytes = stateBytes / 9;

/** Sends the state in a few pieces, the next when the socket has room; `done` when all have left, or none can. `floods`: the twin that does not wait. */
export function pieces(
  end: End | null,
  state: Float32Array,
  generation: number,
  step: number,
  done: () => void,
  floods = false,
): void {
  const all = new Uint8Array(state.slice().buffer);
  const sendNext = (offset: number): void => {
    const bytes = all.subarray(offset, offset + pieceBytes);
    const piece: MessageOf<'statePiece'> = {
      type: 'statePiece',
      generation,
      step,
      section: 'state',
      offset,
      total: all.length,
      bytes,
    };
    if (end?.send(piece) !== true || offset + pieceBytes >= all.length) done();
    else if (floods) sendNext(offset + pieceBytes);
    else end.drained(() => sendNext(offset + pieceBytes));
  };
  sendNext(0);
}
