// I/O: a compiled model on the lanes of a worker: its arena, and the threads attached to it. The main thread hands out
// segments, one task a lane, and hears of events while the lanes go on. At most one run at a time.

import type { CompiledModel, ProgramEvent, Segment } from '../../src/engine/contract.ts';
import { abortLanes, type SplitName, type Splits } from '../../src/engine/lane.ts';
import { EngineMemory } from '../../src/engine/memory.ts';
import { asLockstepError, assert, isOpenFilesLimit, LockstepError } from '../../src/errors.ts';
import type { LaneThreads, WithoutLane } from './lane-threads.ts';
import { controlWords, type LaneReport, type LaneTask, type Phase } from './messages.ts';

export interface LanePoolOptions {
  readonly compiled: CompiledModel;
  /** Stay when the pool is closed, unless a lane failed or was still running; one pool at a time is theirs. */
  readonly threads: LaneThreads;
  /** What lanes gather rows from; a Dataset will do. */
  readonly splits: Splits;
  /** What of the arena will be used; training unless said. */
  readonly purpose?: 'training' | 'inference';
}

type OnEvent = (event: ProgramEvent) => void;

const open = new Set<LanePool>();

// A process that exits waits for its threads, and one that is ended leaves the others in their barrier.
process.once('exit', () => {
  for (const { memory } of open) abortLanes(memory.arena.ints);
});

export class LanePool {
  readonly memory: EngineMemory;
  readonly #compiled: CompiledModel;
  readonly #threads: LaneThreads;
  readonly #places = new Map<Segment, { readonly phase: Phase; readonly index: number }>();
  /** Of the threads it was attached to. */
  #control: Int32Array | null = null;
  #state: 'idle' | 'running' | 'broken' = 'idle';

  private constructor(memory: EngineMemory, threads: LaneThreads) {
    this.memory = memory;
    this.#compiled = memory.compiled;
    this.#threads = threads;
    const { step, update, evaluate } = memory.compiled;
    step.forEach((segment, index) => void this.#places.set(segment, { phase: 'step', index }));
    update.forEach((segment, index) => void this.#places.set(segment, { phase: 'update', index }));
    this.#places.set(evaluate, { phase: 'evaluate', index: 0 });
    open.add(this);
  }

  /** Makes the arena and attaches the threads. Throws LOCKSTEP_OUT_OF_MEMORY, LOCKSTEP_BACKEND_UNAVAILABLE or
      LOCKSTEP_WORKER_FAILED. */
  static async create({
    compiled,
    threads,
    splits,
    purpose = 'training',
  }: LanePoolOptions): Promise<LanePool> {
    const memory = new EngineMemory(compiled, threads.createArena(compiled, purpose));
    const pool = new LanePool(memory, threads);
    await pool.#allOf(() => {
      const attached = threads.attach(compiled, memory.arena, splits);
      pool.#control = threads.control;
      return attached;
    });
    return pool;
  }

  /**
   * Runs a segment on all lanes under step table `slot`. Events come in order, while the lanes may be further on already;
   * all have come when the promise resolves, with whether the guarded part ran. Rejects with LockstepError; the pool is of no use then.
   */
  async run(
    segment: Segment,
    slot: number,
    options: { gather: SplitName | null },
    onEvent: OnEvent = () => {},
  ): Promise<boolean> {
    const place = this.#places.get(segment);
    assert(place !== undefined, 'the segment is one of this compiled model');
    const events = segment.stretches.flatMap(({ event }) => event ?? []);
    Atomics.store(this.#control!, controlWords.eventsPassed, 0);
    const telling = this.#tell(events, onEvent);
    let reports: LaneReport[];
    try {
      reports = await this.#onAllLanes({
        kind: 'segment',
        ...place,
        table: this.memory.tableAt(slot),
        gather: options.gather,
      });
      telling.flush();
    } finally {
      telling.stop();
    }
    await telling.done;
    return reports[0]!.applied > 0;
  }

  /**
   * For a worker alone: `count` whole steps under the step tables from `slot` on, round the ring, in one task a lane.
   * Returns how many were applied: fewer than `count` where the next one's loss is not finite.
   */
  async runAlone(slot: number, count: number): Promise<number> {
    const { tables, update } = this.#compiled;
    assert(
      update.length === 0 && count <= tables.count,
      'a worker alone runs at most a ring of steps at once',
    );
    const list = Array.from({ length: count }, (_, i) => this.memory.tableAt((slot + i) % tables.count));
    const reports = await this.#onAllLanes({ kind: 'alone', tables: list });
    return reports[0]!.applied;
  }

  /** Lets the threads go, for another program if they are idle. */
  close(): void {
    if (this.#state === 'running') this.#giveUp();
    this.#state = 'broken';
    open.delete(this);
  }

  #onAllLanes(task: WithoutLane<LaneTask>): Promise<LaneReport[]> {
    return this.#allOf(() => this.#threads.run(task));
  }

  async #allOf(run: () => Promise<LaneReport[]>): Promise<LaneReport[]> {
    assert(this.#state === 'idle', `a pool that is ${this.#state} takes no task`);
    this.#state = 'running';
    try {
      const reports = await run();
      const failures = reports.flatMap(({ error }) => error ?? []);
      const failure = failures.find(({ first }) => first) ?? failures[0];
      if (failure) throw new LockstepError(failure.code, failure.message);
      this.#state = 'idle';
      return reports;
    } catch (error) {
      // Closed meanwhile: the threads may be another pool's.
      if (this.#state === 'running') this.#giveUp();
      if (error instanceof LockstepError) throw error;
      if (isOpenFilesLimit(error)) throw asLockstepError(error);
      const reason = error instanceof Error ? error.message : String(error);
      throw new LockstepError('LOCKSTEP_WORKER_FAILED', `a lane of this worker failed: ${reason}`, {
        cause: error,
      });
    }
  }

  /** Lanes that are in a barrier come out of it, and the threads end. */
  #giveUp(): void {
    this.#state = 'broken';
    open.delete(this);
    abortLanes(this.memory.arena.ints);
    this.#threads.drop(this.#control);
  }

  /** Calls `onEvent` for each event the lanes have passed, woken by the counter that lane 0 raises. */
  #tell(
    events: readonly ProgramEvent[],
    onEvent: OnEvent,
  ): { flush(): void; stop(): void; done: Promise<void> } {
    const control = this.#control!;
    let told = 0;
    let stopped = false;
    const tellTo = (passed: number): void => {
      while (told < passed && !stopped) onEvent(events[told++]!);
    };
    const watch = async (): Promise<void> => {
      while (told < events.length && !stopped) {
        const passed = Atomics.load(control, controlWords.eventsPassed);
        tellTo(passed);
        if (told === events.length) return;
        const woken = Atomics.waitAsync(control, controlWords.eventsPassed, passed);
        if (woken.async) await woken.value;
      }
    };
    const done = watch();
    // A listener's error is thrown where `done` is awaited, not as an unhandled rejection before that.
    done.catch(() => {});
    return {
      flush: () => tellTo(events.length),
      stop: () => {
        stopped = true;
        Atomics.notify(control, controlWords.eventsPassed);
      },
      done,
    };
  }
}
