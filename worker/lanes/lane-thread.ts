// I/O: the file that the pool's threads run. A thread takes any lane it is given of the program it was attached to last;
// the backend is loaded once.

import { workerData } from 'node:worker_threads';
import type { ProgramEvent, Segment } from '../../src/engine/contract.ts';
import { abortLanes, Lane } from '../../src/engine/lane.ts';
import { assert, LockstepError } from '../../src/errors.ts';
import type { Backend, LaneRunner } from '../../src/kernels/backend.ts';
import { collectGarbage } from './collect.ts';
import { loadBackend } from './load-backend.ts';
import { controlWords, type LaneReport, type LaneSetup, type LaneTask, type Phase } from './messages.ts';

type Attachment = Extract<LaneTask, { kind: 'attach' }>;

/** The other threads start within this, in milliseconds; they are waited for no longer. */
const attachTimeoutMs = 60_000;

const setup = workerData as LaneSetup;
const control = new Int32Array(setup.control);
const lanes = new Map<number, { readonly lane: Lane; readonly runner: LaneRunner }>();
let backend: Backend | undefined;
let attachment: Attachment | undefined;

/** Runs one task; its errors come back as data. A lane that fails lets the others out of their barriers. */
export function runLane(task: LaneTask): LaneReport {
  try {
    return { applied: perform(task), error: null };
  } catch (error) {
    const attached = lanes.get(task.lane);
    const first = attached ? abortLanes(attached.runner.arena.ints) : true;
    const code = error instanceof LockstepError ? error.code : 'LOCKSTEP_WORKER_FAILED';
    return { applied: 0, error: { code, message: (error as Error).message, first } };
  }
}

function perform(task: LaneTask): number {
  switch (task.kind) {
    case 'attach':
      attach(task);
      return 0;
    case 'segment':
      return laneOf(task.lane).run(
        { ...task, segment: segmentOf(task.phase, task.index) },
        task.lane === 0 ? signal : pass,
      )
        ? 1
        : 0;
    case 'alone':
      return laneOf(task.lane).runAlone(task.tables);
    default:
      return task satisfies never;
  }
}

/** The program and the arena of before are let go. */
function attach(task: Attachment): void {
  lanes.clear();
  attachment = task;
  if (task.collect) collectGarbage();
  awaitAll(task.whenAll);
  laneOf(task.lane);
}

/** Until each thread has its own of the tasks that attach: one that took two would leave another without the program. */
function awaitAll(whenAll: number): void {
  Atomics.add(control, controlWords.attaching, 1);
  Atomics.notify(control, controlWords.attaching);
  for (;;) {
    const here = Atomics.load(control, controlWords.attaching);
    if (here >= whenAll) return;
    if (Atomics.wait(control, controlWords.attaching, here, attachTimeoutMs) === 'timed-out') {
      const seconds = attachTimeoutMs / 1000;
      throw new LockstepError(
        'LOCKSTEP_WORKER_FAILED',
        `the lanes of this worker did not start within ${seconds} s: is the machine overloaded? Use fewer --threads`,
      );
    }
  }
}

function laneOf(index: number): Lane {
  let attached = lanes.get(index);
  if (!attached) {
    assert(attachment !== undefined, 'a lane is attached before it runs');
    backend ??= loadBackend(setup.backend, setup.variant);
    const runner = backend.attach(attachment.arena, index);
    attached = { runner, lane: new Lane(attachment.program, runner, index, attachment.splits) };
    lanes.set(index, attached);
  }
  return attached.lane;
}

function segmentOf(phase: Phase, index: number): Segment {
  assert(attachment !== undefined, 'a program is attached before it runs');
  const { program } = attachment;
  const segment = phase === 'evaluate' ? program.evaluate : program[phase][index];
  assert(segment !== undefined, `segment ${index} of ${phase}`);
  return segment;
}

/** All lanes have passed a barrier ahead of an event, so that one of them may tell. */
function signal(_event: ProgramEvent): void {
  Atomics.add(control, controlWords.eventsPassed, 1);
  Atomics.notify(control, controlWords.eventsPassed);
}

function pass(): void {}
