// I/O: the file that the pool's threads run. A thread takes any lane it is given; what it needs it makes at first use.

import { workerData } from 'node:worker_threads';
import type { ProgramEvent, Segment } from '../../src/engine/contract.ts';
import { abortLanes, Lane } from '../../src/engine/lane.ts';
import { assert, LockstepError } from '../../src/errors.ts';
import type { Backend, LaneRunner } from '../../src/kernels/backend.ts';
import { loadBackend } from './load-backend.ts';
import { controlWords, type LaneReport, type LaneSetup, type LaneTask, type Phase } from './messages.ts';

const setup = workerData as LaneSetup;
const control = new Int32Array(setup.control);
const lanes = new Map<number, { readonly lane: Lane; readonly runner: LaneRunner }>();
let backend: Backend | undefined;

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
  const lane = attach(task.lane);
  switch (task.kind) {
    case 'attach':
      return 0;
    case 'segment':
      return lane.run(
        { ...task, segment: segmentOf(task.phase, task.index) },
        task.lane === 0 ? signal : pass,
      )
        ? 1
        : 0;
    case 'alone':
      return lane.runAlone(task.tables);
    default:
      return task satisfies never;
  }
}

function attach(index: number): Lane {
  let attached = lanes.get(index);
  if (!attached) {
    backend ??= loadBackend(setup.backend, setup.variant);
    const runner = backend.attach(setup.arena, index);
    attached = { runner, lane: new Lane(setup.compiled, runner, index, setup.splits) };
    lanes.set(index, attached);
  }
  return attached.lane;
}

function segmentOf(phase: Phase, index: number): Segment {
  const { compiled } = setup;
  const segment = phase === 'evaluate' ? compiled.evaluate : compiled[phase][index];
  assert(segment !== undefined, `segment ${index} of ${phase}`);
  return segment;
}

/** All lanes have passed a barrier ahead of an event, so that one of them may tell. */
function signal(_event: ProgramEvent): void {
  Atomics.add(control, controlWords.eventsPassed, 1);
  Atomics.notify(control, controlWords.eventsPassed);
}

function pass(): void {}
