// A worker of any number of lanes in the calling thread. Between two barriers the lanes run one after the other, in an
// order that the caller chooses: where a barrier is missing, some order gives other bytes.

import type { CompiledModel, ProgramEvent, Segment, Stretch } from '../../src/engine/contract.ts';
import { Lane, type SplitName, type Splits } from '../../src/engine/lane.ts';
import { EngineMemory } from '../../src/engine/memory.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { decodeInstruction } from '../../src/kernels/kernel-list.ts';

/** The lanes in the order in which they run until the next barrier. */
export type LaneOrder = (lanes: readonly number[]) => readonly number[];

const ascending: LaneOrder = (lanes) => lanes;

export class LaneGroup {
  readonly memory: EngineMemory;
  readonly #lanes: readonly Lane[];
  readonly #order: LaneOrder;

  constructor(compiled: CompiledModel, backend: Backend, splits: Splits, order: LaneOrder = ascending) {
    const arena = backend.createArena(compiled.arenaSize);
    this.memory = new EngineMemory(compiled, arena);
    this.#order = order;
    this.#lanes = Array.from(
      { length: compiled.assignment.lanes },
      (_, lane) => new Lane(compiled, backend.attach(arena.handle, lane), lane, splits),
    );
  }

  /** Runs a segment under step table `slot`; false where its guarded part did not run. */
  run(
    segment: Segment,
    slot: number,
    gather: SplitName | null,
    onEvent: (event: ProgramEvent) => void = () => {},
  ): boolean {
    const table = this.memory.tableAt(slot);
    let split = gather;
    let ran = true;
    for (const stretch of this.#betweenBarriers(segment)) {
      const part = { stretches: [{ ...stretch, event: null }] };
      for (const lane of this.#order(this.#lanes.map((_, index) => index))) {
        if (!this.#lanes[lane]!.run({ segment: part, table, gather: split }, () => {})) ran = false;
      }
      if (!ran) return false;
      split = null;
      if (stretch.event !== null) onEvent(stretch.event);
    }
    return ran;
  }

  /** The segment's stretches, cut at barriers; the barriers themselves are left out. */
  *#betweenBarriers({ stretches }: Segment): Generator<Stretch> {
    const { program, programOffset } = this.memory.compiled;
    for (const stretch of stretches) {
      let { from } = stretch;
      for (let at = from; at < stretch.to; ) {
        const { name, next } = decodeInstruction(program, at - programOffset);
        const behind = next + programOffset;
        if (name === 'barrier') {
          yield { ...stretch, from, to: at, event: null };
          from = behind;
        }
        at = behind;
      }
      yield { ...stretch, from };
    }
  }
}
