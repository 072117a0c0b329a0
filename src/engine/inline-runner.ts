// A worker of one lane in the calling thread: for the reference backend, tools and tests. Threads are worker/lanes'.

import { assert } from '../errors.ts';
import type { Backend } from '../kernels/backend.ts';
import type { CompiledModel, ProgramEvent, Segment } from './contract.ts';
import { Lane, type SplitName, type Splits } from './lane.ts';
import { EngineMemory } from './memory.ts';

export class InlineRunner {
  readonly memory: EngineMemory;
  readonly #lane: Lane;

  constructor(compiled: CompiledModel, backend: Backend, splits: Splits) {
    assert(compiled.assignment.lanes === 1, 'the calling thread is one lane');
    const arena = backend.createArena(compiled.arenaSize);
    this.memory = new EngineMemory(compiled, arena);
    this.#lane = new Lane(compiled, backend.attach(arena.handle, 0), 0, splits);
  }

  /** Runs a segment under step table `slot`; false where its guarded part did not run. */
  run(
    segment: Segment,
    slot: number,
    gather: SplitName | null,
    onEvent: (event: ProgramEvent) => void = () => {},
  ): boolean {
    return this.#lane.run({ segment, table: this.memory.tableAt(slot), gather }, onEvent);
  }

  /** Runs `count` whole steps under the step tables from `slot` on, round the ring; see Lane.runAlone. */
  runAlone(slot: number, count: number): number {
    const ring = this.memory.compiled.tables.count;
    const tables = Array.from({ length: count }, (_, i) => this.memory.tableAt((slot + i) % ring));
    return this.#lane.runAlone(tables);
  }
}
