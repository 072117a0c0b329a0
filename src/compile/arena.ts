// The arena of a worker, part by part: header, barrier, step tables, scratch, state, what exchanges touch, the tensors of a
// step and of an evaluation (over one another), and the program at the end.

import type { CompiledModel } from '../engine/contract.ts';
import { tableLayout } from '../engine/table-layout.ts';
import { scratchFloats, scratchFloatsFor } from '../kernels/scratch.ts';
import { arenaHeaderFields, arenaHeaderSize } from '../kernels/step-table.ts';
import type { LoweredProgram, Work } from './graph-to-items.ts';
import type { Buffer, Item } from './instructions.ts';
import { aligned } from './layout.ts';
import {
  checkArenaSize,
  lifetimes,
  type Places,
  placeByLifetime,
  placeSideBySide,
  unplacedPermanent,
} from './plan.ts';
import { verifyPlaces } from './verify.ts';

/** Words of the barrier's own. */
const barrierSize = 64;

export interface ArenaPlan {
  readonly places: Places;
  readonly programOffset: number;
  readonly activations: CompiledModel['activations'];
  readonly header: Int32Array;
  readonly tables: CompiledModel['tables'];
}

export function planArena(
  work: Work,
  lowered: LoweredProgram,
  tableCount: number,
  gapFloats: number,
): ArenaPlan {
  const { assignment, rowsMax, nodes, state, training, optimizations } = work;
  const { lanes, shards, firstShard, endShard } = assignment;
  const tableSize = tableLayout({
    lanes, shards, ownShards: endShard - firstShard, globalNodes: nodes.all, rowsMax, reports: training.reports.length,
  }).size; // biome-ignore format: a table
  const barrier = permanent('barrier', barrierSize);
  const tables = permanent('tables', tableSize * tableCount);
  const scratchSize = scratchSizeOf(lowered.timeline);
  const scratch = permanent('scratch', scratchSize * lanes);
  const { parameters, statistics, slots, partials, gradient, inputs, targets, output } = state;
  const kept = new Set([parameters, statistics, ...slots, partials, gradient, inputs, targets, output]);

  const places: Places = new Map();
  const gap = aligned(gapFloats);
  let end = placeSideBySide([barrier, tables, scratch, ...kept], arenaHeaderSize + gap, places, gap);
  end = placeSideBySide(unplacedPermanent(lowered.timeline, places), end, places, gap);
  const isShared = optimizations.shareMemory && gap === 0;
  const placeTransient = (items: readonly Item[], base: number): number => {
    const lives = lifetimes(items);
    if (isShared) return placeByLifetime(lives, base, places);
    const buffers = lives.flatMap(({ buffer }) => (places.has(buffer) ? [] : [buffer]));
    return placeSideBySide(buffers, base, places, gap);
  };
  const stepEnd = placeTransient(lowered.timeline, end);
  const evaluateEnd = placeTransient(lowered.evaluate, isShared ? end : stepEnd);
  const programOffset = Math.max(stepEnd, evaluateEnd);
  checkArenaSize(programOffset);
  verifyPlaces([...lowered.timeline, ...lowered.evaluate], places, programOffset);

  const header = new Int32Array(arenaHeaderSize);
  const fields: Record<(typeof arenaHeaderFields)[number], number> = {
    lanes,
    scratchOffset: places.get(scratch)!,
    scratchSize,
    barrierOffset: places.get(barrier)!,
  };
  arenaHeaderFields.forEach((field, word) => {
    header[word] = fields[field];
  });
  return {
    places,
    programOffset,
    activations: { step: stepEnd - end, evaluate: evaluateEnd - end },
    header,
    tables: { offset: places.get(tables)!, size: tableSize, count: tableCount },
  };
}

/** Of one lane. */
function scratchSizeOf(items: readonly Item[]): number {
  return items.reduce(
    (most, item) =>
      item.kind === 'kernel' ? Math.max(most, scratchFloatsFor(item.kernel, item.args)) : most,
    scratchFloats,
  );
}

function permanent(name: string, size: number): Buffer {
  return { name, size, rowSize: null, permanent: true };
}
