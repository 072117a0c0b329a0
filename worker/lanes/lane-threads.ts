// I/O: the threads that compute, for the life of a worker: one Piscina thread a lane, with the backend loaded. Programs
// (lane-pool.ts) are attached to them one after another; threads that failed, or that were given up while they ran, are
// replaced by others.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Piscina } from 'piscina';
import type { CompiledModel, LaneProgram } from '../../src/engine/contract.ts';
import type { Splits } from '../../src/engine/lane.ts';
import {
  addNeeds,
  arenaNeeds,
  arenaTooLarge,
  checkpointNeeds,
  inferenceNeeds,
  requireMemory,
  totalOf,
  workerNeeds,
} from '../../src/engine/memory-budget.ts';
import { assert, LockstepError } from '../../src/errors.ts';
import type { Arena, Backend } from '../../src/kernels/backend.ts';
import { restoreAdvice } from '../../src/platform/build-command.ts';
import { machineMemory } from '../../src/platform/machine-memory.ts';
import { packageRoot } from '../../src/platform/package-root.ts';
import { collectGarbage } from './collect.ts';
import { controlWords, type LaneReport, type LaneSetup, type LaneTask } from './messages.ts';

const threadFile = 'dist/worker/lanes/lane-thread.js';

/** When arenas of this many bytes were let go, the main thread and all others collect their garbage. */
const arenaBytesLetGoMax = 256 * 1024 * 1024;

/** Threads that run or wait end well within this, in milliseconds. */
const closeMs = 2_000;

export type WithoutLane<T> = T extends unknown ? Omit<T, 'lane'> : never;

interface Threads {
  readonly pool: Piscina<LaneTask, LaneReport>;
  readonly control: Int32Array;
  attachments: number;
}

export class LaneThreads {
  readonly backend: Backend;
  readonly lanes: number;
  readonly #ending = new Set<Promise<void>>();
  #threads: Threads | null = null;
  /** Since garbage was collected. */
  #arenaBytes = 0;
  #collectInThreads = false;
  /** Bytes of the arena before, which are given back when the threads take up the next one. */
  #needsBefore = 0;

  constructor(backend: Backend, lanes: number) {
    this.backend = backend;
    this.lanes = lanes;
  }

  /** Starts the threads where there are none; they come up by themselves. Throws LOCKSTEP_WORKER_FAILED. */
  start(): void {
    this.#threads ??= this.#started();
  }

  /** Words by `controlWords`, of the threads there are; null: there are none. */
  get control(): Int32Array | null {
    return this.#threads?.control ?? null;
  }

  /**
   * A new arena, in place of the one before, which nobody may hold any more. Throws LOCKSTEP_OUT_OF_MEMORY, also where the
   * machine could make it but not fill it: nothing has been drawn or copied then.
   */
  createArena(compiled: CompiledModel, purpose: 'training' | 'inference'): Arena {
    const bytes = compiled.arenaSize * Float32Array.BYTES_PER_ELEMENT;
    if (this.#arenaBytes + bytes > arenaBytesLetGoMax && this.#arenaBytes > 0) {
      collectGarbage();
      this.#collectInThreads = true;
      this.#arenaBytes = 0;
    }
    this.#arenaBytes += bytes;
    this.#needsBefore = checkMemory(compiled, purpose, this.#needsBefore);
    return this.backend.createArena(compiled.arenaSize);
  }

  /** Gives every thread the program in place of the one before. */
  async attach(compiled: CompiledModel, arena: Arena, splits: Splits): Promise<LaneReport[]> {
    assert(compiled.assignment.lanes === this.lanes, 'a worker has as many lanes in every membership');
    this.start();
    const threads = this.#threads!;
    threads.attachments += 1;
    const collect = this.#collectInThreads;
    this.#collectInThreads = false;
    return this.run({
      kind: 'attach',
      program: laneProgram(compiled),
      arena: arena.handle,
      splits: { train: only(splits.train), test: only(splits.test) },
      collect,
      whenAll: threads.attachments * this.lanes,
    });
  }

  /** One task a lane. */
  run(task: WithoutLane<LaneTask>): Promise<LaneReport[]> {
    const { pool } = this.#threads!;
    return Promise.all(
      Array.from({ length: this.lanes }, (_, lane) => pool.run({ ...task, lane } as LaneTask)),
    );
  }

  /**
   * Gives the threads up, whatever they are doing; others are started when they are needed. With `control` those alone that it
   * belongs to: they may have been given up already, and others be there in their place.
   */
  drop(control: Int32Array | null = this.control): void {
    if (this.#threads === null || this.#threads.control !== control) return;
    const ended = this.#threads.pool.destroy().finally(() => this.#ending.delete(ended));
    ended.catch(() => undefined);
    this.#ending.add(ended);
    this.#threads = null;
  }

  /** Ends the threads; one that is stuck in its kernel is not waited for. */
  async close(): Promise<void> {
    this.drop();
    const patience = new AbortController();
    await Promise.race([
      Promise.all(this.#ending),
      sleep(closeMs, undefined, { signal: patience.signal, ref: false }).catch(() => undefined),
    ]);
    patience.abort();
  }

  #started(): Threads {
    const filename = join(packageRoot(), threadFile);
    if (!existsSync(filename)) {
      throw new LockstepError('LOCKSTEP_WORKER_FAILED', `${filename} is missing; ${restoreAdvice()}`);
    }
    const control = new SharedArrayBuffer(controlWords.size * 4);
    const { name: backend, variant } = this.backend;
    const workerData: LaneSetup = { backend, variant, control };
    const pool = new Piscina<LaneTask, LaneReport>({
      filename,
      name: 'runLane',
      minThreads: this.lanes,
      maxThreads: this.lanes,
      concurrentTasksPerWorker: 1,
      idleTimeout: Infinity,
      // Programs are attached in the order they were asked for, also where several wait.
      stricterFIFO: true,
      workerData,
    });
    pool.on('error', (error) => {
      // Answers that were on their way from threads that were given up are nobody's.
      if (this.#threads?.pool === pool) throw error;
    });
    return { pool, control: new Int32Array(control), attachments: 0 };
  }
}

/**
 * Returns the bytes that the arena will use. `before`: those of an arena that goes. The workers that `lockstep train` starts were
 * checked together with this one before; one that joins from elsewhere is checked here alone.
 */
function checkMemory(compiled: CompiledModel, purpose: 'training' | 'inference', before: number): number {
  const now = machineMemory();
  const machine = { ...now, availableBytes: now.availableBytes + before };
  const tooLarge = arenaTooLarge(compiled, machine);
  if (tooLarge !== null) throw new LockstepError('LOCKSTEP_OUT_OF_MEMORY', tooLarge);
  if (purpose === 'inference') requireMemory('the model', inferenceNeeds(compiled), machine);
  else {
    // Any worker may be the one whose state becomes the checkpoint.
    const needs = addNeeds(workerNeeds(compiled), checkpointNeeds(compiled, 1));
    requireMemory('this worker', needs, machine);
  }
  return totalOf(arenaNeeds(compiled, purpose));
}

/** Compiled models carry much more, which would be copied for every thread. */
function laneProgram(compiled: CompiledModel): LaneProgram {
  const { step, update, evaluate, reports, inputs, targets, inputSize, targetSize } = compiled;
  return { step, update, evaluate, reports, inputs, targets, inputSize, targetSize };
}

/** A Dataset's splits carry more than lanes need. */
function only({ inputs, targets }: Splits['train']): Splits['train'] {
  return { inputs, targets };
}
