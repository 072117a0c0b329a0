// A clock of this thread that stands still while the thread waits for a processor (I/O: reads Linux's schedstat): other
// programs of the machine then cost a measurement its caches, not its time. Elsewhere an ordinary clock.

import { openSync, readSync } from 'node:fs';

const path = '/proc/thread-self/schedstat';
const attemptsMax = 10;

function open(): number | null {
  try {
    return openSync(path, 'r');
  } catch {
    return null;
  }
}

/** Milliseconds from some moment on; of use in the thread that made it only. */
export function undisturbedClock(): () => number {
  const file = open();
  if (file === null) return () => performance.now();
  const bytes = new Uint8Array(128);
  const decoder = new TextDecoder();
  /** The second number: nanoseconds this thread was ready to run and did not. */
  const waited = (): number => {
    const size = readSync(file, bytes, 0, bytes.length, 0);
    return Number(decoder.decode(bytes.subarray(0, size)).split(' ')[1]) / 1e6;
  };
  return () => {
    let before = waited();
    for (let attempt = 0; ; attempt += 1) {
      const now = performance.now();
      const after = waited();
      if (after === before || attempt === attemptsMax) return now - after;
      before = after;
    }
  };
}
