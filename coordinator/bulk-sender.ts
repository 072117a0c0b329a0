// Data sets and states on their way to many workers at once (I/O). One piece a turn of the event loop among all of them, so that
// a crowd of joiners does not hold up the run; at most a piece waits for each, so that memory does not grow with their slowness.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { limits } from '../proto/limits.ts';
import { sendPieces } from '../proto/transport/bulk.ts';
import type { Link } from '../proto/transport/link.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { dataPieces } from '../src/data/share.ts';

export interface StateSectionBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export class BulkSender {
  #turns: Promise<void> = Promise.resolve();
  /** States that are being sent, by step: one copy for all who read it. */
  readonly #states = new Map<number, { readers: number; readonly sections: Promise<StateSectionBytes[]> }>();

  /** Resolves early when the link ends. */
  async sendData(link: Link<'coordinator'>, dataset: Dataset): Promise<void> {
    for (const piece of dataPieces(dataset, limits.pieceBytesMax)) {
      await this.#turn();
      if (!link.send({ type: 'dataPiece', ...piece })) return;
      await link.drained(limits.bulkQueueBytes);
    }
  }

  /** `load` reads the state after `step`; it is not called while another is being sent it. */
  async sendState(
    link: Link<'coordinator'>,
    { generation, step }: { readonly generation: number; readonly step: number },
    load: (step: number) => Promise<StateSectionBytes[]>,
  ): Promise<void> {
    const state = this.#states.get(step) ?? { readers: 0, sections: load(step) };
    this.#states.set(step, state);
    state.readers += 1;
    try {
      for (const { name: section, bytes } of await state.sections) {
        const total = bytes.length;
        await this.#turn();
        const open = await sendPieces(
          bytes,
          (offset, piece) =>
            link.send({ type: 'statePiece', generation, step, section, offset, total, bytes: piece }),
          async () => {
            await link.drained(limits.bulkQueueBytes);
            await this.#turn();
          },
        );
        if (!open) return;
      }
    } finally {
      state.readers -= 1;
      if (state.readers === 0) this.#states.delete(step);
    }
  }

  /** A turn of the event loop that nobody else has. */
  #turn(): Promise<void> {
    this.#turns = this.#turns.then(() => nextTurn());
    return this.#turns;
  }
}
