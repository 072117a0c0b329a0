// Kernels that compute nothing: the barrier of a worker's lanes, and memory moved or set.

import { barrierAbortWord } from '../step-table.ts';
import { laneRows, laneShare, type ReferenceKernel } from './lane.ts';

/** A sleeper looks this often whether another lane has failed. */
const abortCheckMs = 100;

/** Word 0 counts the lanes that have arrived, word 1 the barriers passed; the last to arrive opens it. */
export const barrier: ReferenceKernel<'barrier'> = ({ ints, lanes, barrier: at }) => {
  const aborted = (): boolean => Atomics.load(ints, at + barrierAbortWord) !== 0;
  if (aborted()) return;
  const passed = Atomics.load(ints, at + 1);
  if (Atomics.add(ints, at, 1) === lanes - 1) {
    Atomics.store(ints, at, 0);
    Atomics.add(ints, at + 1, 1);
    Atomics.notify(ints, at + 1);
    return;
  }
  while (Atomics.load(ints, at + 1) === passed && !aborted())
    Atomics.wait(ints, at + 1, passed, abortCheckMs);
};

export const fill: ReferenceKernel<'fill'> = (lane, { out, count, value }) => {
  const { from, to } = laneShare(lane, count);
  lane.floats.fill(value, out + from, out + to);
};

export const copyColumns: ReferenceKernel<'copyColumns'> = (lane, a) => {
  const { floats } = lane;
  const rows = laneRows(lane);
  for (let r = rows.from * a.positions; r < rows.to * a.positions; r += 1)
    for (let column = 0; column < a.count; column += 1)
      floats[a.y + r * a.yColumns + a.yFrom + column] = floats[a.x + r * a.xColumns + a.xFrom + column]!;
};
