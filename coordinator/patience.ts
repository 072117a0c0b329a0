// For how long a worker may say nothing before it is taken for lost. One turn of its main thread is long only while it loads
// the data set, and when it compiles: in the very turn in which it said its standing, so that whatever is heard after that
// comes when it has compiled. At any other time a silent worker is soon gone, also while the others form a membership: hosts
// that are cut off together are noticed together. Pure.

import { limits } from '../proto/limits.ts';
import type { FromWorker } from './effects.ts';

export class Patience {
  readonly #onceCompiledMs: () => number;
  #doing: 'loads' | 'compiles' | 'heals' | 'runs' = 'loads';

  /** `onceCompiledMs`: as silenceOnceCompiledMs says of the newest membership. */
  constructor(onceCompiledMs: () => number) {
    this.#onceCompiledMs = onceCompiledMs;
  }

  heard(message: Pick<FromWorker, 'type'>): void {
    if (message.type === 'ready') this.#doing = 'runs';
    else if (message.type === 'standing') this.#doing = 'compiles';
    else this.lives();
  }

  /** A ping, or the answer to one. */
  lives(): void {
    if (this.#doing === 'compiles') this.#doing = 'heals';
  }

  get silenceMs(): number {
    if (this.#doing === 'runs') return limits.silenceMs;
    return this.#doing === 'heals' ? this.#onceCompiledMs() : limits.silenceWhileFormingMs;
  }
}
