// Frees what nobody holds any more, now (I/O: flags of V8). A shared arena is freed with the last object that stands for it in
// any thread; those objects are small, and V8, which does not count what lies behind them, may leave them for ever.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | null = null;

/** Takes some milliseconds. */
export function collectGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
