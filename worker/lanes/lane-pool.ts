// I/O: the lanes of a worker, each a thread of a Piscina pool over the shared arena. The main thread hands out segments,
// one task a lane, and hears of events while the lanes go on. At most one run at a time.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import type { CompiledModel, ProgramEvent, Segment } from '../../src/engine/contract.ts';
import { abortLanes, type SplitName, type Splits } from '../../src/engine/lane.ts';
import { EngineMemory } from '../../src/engine/memory.ts';
import { assert, LockstepError } from '../../src/errors.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { packageRoot } from '../../src/platform/package-root.ts';
import { controlWords, type LaneReport, type LaneSetup, type LaneTask, type Phase } from './messages.ts';

export interface LanePoolOptions {
  readonly compiled: CompiledModel;
  readonly backend: Backend;
  /** What lanes gather rows from; a Dataset will do. */
  readonly splits: Splits;
}

type OnEvent = (event: ProgramEvent) => void;
type WithoutLane<T> = T extends unknown ? Omit<T, 'lane'> : never;

const threadFile = 'dist/worker/lanes/lane-thread.js';

export class LanePool {
  readonly memory: EngineMemory;
  readonly #compiled: CompiledModel;
  readonly #pool: Piscina<LaneTask, LaneReport>;
  readonly #control: Int32Array;
  readonly #places = new Map<Segment, { readonly phase: Phase; readonly index: number }>();
  #state: 'idle' | 'running' | 'broken' = 'idle';

  private constructor(memory: EngineMemory, pool: Piscina<LaneTask, LaneReport>, control: Int32Array) {
    this.memory = memory;
    this.#compiled = memory.compiled;
    this.#pool = pool;
    this.#control = control;
    const { step, update, evaluate } = memory.compiled;
    step.forEach((segment, index) => void this.#places.set(segment, { phase: 'step', index }));
    update.forEach((segment, index) => void this.#places.set(segment, { phase: 'update', index }));
    this.#places.set(evaluate, { phase: 'evaluate', index: 0 });
  }

  /** Makes the arena and starts the threads. Throws LOCKSTEP_OUT_OF_MEMORY, LOCKSTEP_BACKEND_UNAVAILABLE or
      LOCKSTEP_WORKER_FAILED. */
  static async create({ compiled, backend, splits }: LanePoolOptions): Promise<LanePool> {
    const filename = join(packageRoot(), threadFile);
    if (!existsSync(filename)) {
      throw new LockstepError('LOCKSTEP_WORKER_FAILED', `${filename} is missing; build it: npm run build`);
    }
    const memory = new EngineMemory(compiled, backend.createArena(compiled.arenaSize));
    const control = new SharedArrayBuffer(controlWords.size * 4);
    const workerData: LaneSetup = {
      compiled,
      backend: backend.name,
      variant: backend.variant,
      arena: memory.arena.handle,
      splits: { train: only(splits.train), test: only(splits.test) },
      control,
    };
    const { lanes } = compiled.assignment;
    const threads = {
      minThreads: lanes,
      maxThreads: lanes,
      concurrentTasksPerWorker: 1,
      idleTimeout: Infinity,
    };
    const pool = new Piscina<LaneTask, LaneReport>({ filename, name: 'runLane', ...threads, workerData });
    const lanePool = new LanePool(memory, pool, new Int32Array(control));
    try {
      await lanePool.#onAllLanes({ kind: 'attach' });
    } catch (error) {
      await lanePool.close();
      throw error;
    }
    return lanePool;
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
    Atomics.store(this.#control, controlWords.eventsPassed, 0);
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

  /** Ends the threads. */
  async close(): Promise<void> {
    if (this.#state === 'running') abortLanes(this.memory.arena.ints);
    this.#state = 'broken';
    await this.#pool.destroy();
  }

  async #onAllLanes(task: WithoutLane<LaneTask>): Promise<LaneReport[]> {
    assert(this.#state === 'idle', `a pool that is ${this.#state} takes no task`);
    this.#state = 'running';
    const { lanes } = this.#compiled.assignment;
    try {
      const runs = Array.from({ length: lanes }, (_, lane) => this.#pool.run({ ...task, lane } as LaneTask));
      const reports = await Promise.all(runs);
      const failures = reports.flatMap(({ error }) => error ?? []);
      const failure = failures.find(({ first }) => first) ?? failures[0];
      if (failure) throw new LockstepError(failure.code, failure.message);
      this.#state = 'idle';
      return reports;
    } catch (error) {
      this.#state = 'broken';
      abortLanes(this.memory.arena.ints);
      if (error instanceof LockstepError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new LockstepError('LOCKSTEP_WORKER_FAILED', `a lane of this worker failed: ${reason}`, {
        cause: error,
      });
    }
  }

  /** Calls `onEvent` for each event the lanes have passed, woken by the counter that lane 0 raises. */
  #tell(
    events: readonly ProgramEvent[],
    onEvent: OnEvent,
  ): { flush(): void; stop(): void; done: Promise<void> } {
    const control = this.#control;
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

/** A Dataset's splits carry more than lanes need. */
function only({ inputs, targets }: Splits['train']): Splits['train'] {
  return { inputs, targets };
}
