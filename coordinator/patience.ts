// For how long a worker may say nothing before it is taken for lost. One turn of its main thread is long only while it loads
// the data set, and from its standing to its readiness, when it compiles; at any other time a silent worker is gone, also
// while the others form a membership: hosts that are cut off together are noticed together. Pure.

import { limits } from '../proto/limits.ts';
import type { FromWorker } from './effects.ts';

export class Patience {
  #busy = true;

  heard(message: Pick<FromWorker, 'type'>): void {
    if (message.type === 'ready') this.#busy = false;
    else if (message.type === 'standing') this.#busy = true;
  }

  get silenceMs(): number {
    return this.#busy ? limits.silenceWhileFormingMs : limits.silenceMs;
  }
}
