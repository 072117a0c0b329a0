// The life of a worker's steps as a pure machine: events in, effects out, in order. No arrays, sockets or clocks here;
// the shell (step-shell.ts) runs segments, swaps and reduces, and tells what came of it.
//
// With peers a step is:  segments, cut by exchanges, emitting buckets  ->  all buckets reduced, reports swapped
//                        ->  update segments  ->  committed.
// Alone it is one task of many steps: nothing has to be waited for between them.

import { assert } from '../../src/errors.ts';

/** What the machine has to know of the compiled program and of the run. */
export interface StepPlan {
  /** One worker: every exchange and reduction is inside of the program. */
  readonly alone: boolean;
  /** Segments of a step; the next one starts when this one and the exchanges it started have ended. */
  readonly segments: number;
  readonly updates: number;
  readonly buckets: number;
  /** Most steps in one task, when alone; fewer where they would take longer than taskSeconds. */
  readonly stepsPerTaskMax: number;
  readonly endStep: number;
  evaluateAfter(step: number): boolean;
  checkpointAfter(step: number): boolean;
  /** Off these steps a digest is told before each snapshot alone. */
  digestAfter(step: number): boolean;
}

export type StepEvent =
  | { readonly is: 'begin' }
  /** A segment ran to its end on all lanes. */
  | { readonly is: 'segmentDone' }
  /** The lanes have completed the own records of this exchange. */
  | { readonly is: 'exchangeReady'; readonly exchange: number }
  | { readonly is: 'exchanged'; readonly exchange: number }
  /** The lanes have completed this bucket of the own gradient. */
  | { readonly is: 'bucketReady'; readonly bucket: number }
  | { readonly is: 'bucketReduced'; readonly bucket: number }
  /** All workers' reports of the step are here. `finite`: every shard's loss is; `stop`: somebody asked to. */
  | { readonly is: 'reportsSwapped'; readonly finite: boolean; readonly stop: boolean }
  /** Alone: `steps` steps were committed; `finite` false: the one after them has a loss that is not finite. */
  | {
      readonly is: 'taskDone';
      readonly steps: number;
      readonly finite: boolean;
      readonly secondsPerStep: number;
    }
  /** An update segment ran on all lanes; `finite` false: the gradient's norm is not, and nothing was applied. */
  | { readonly is: 'updated'; readonly finite: boolean }
  | { readonly is: 'evaluated' }
  | { readonly is: 'stop' };

export type StepEffect =
  | { readonly do: 'runSegment'; readonly step: number; readonly segment: number }
  | { readonly do: 'exchange'; readonly step: number; readonly exchange: number }
  | { readonly do: 'reduce'; readonly step: number; readonly bucket: number }
  | { readonly do: 'swapReports'; readonly step: number; readonly stop: boolean }
  | { readonly do: 'runUpdate'; readonly step: number; readonly segment: number }
  | { readonly do: 'runTask'; readonly step: number; readonly steps: number }
  /** The step is committed: tell it. */
  | { readonly do: 'report'; readonly step: number }
  | { readonly do: 'evaluate'; readonly step: number }
  /** Tell the digest of the state. */
  | { readonly do: 'digest'; readonly step: number }
  /** `last`: nothing comes after it. */
  | { readonly do: 'snapshot'; readonly step: number; readonly last: boolean }
  /** A shard's loss of this step is not finite; the weights are those before it. */
  | { readonly do: 'diagnose'; readonly step: number }
  | { readonly do: 'finish'; readonly step: number };

/** What an earlier membership did not come to, after the step from which this one goes on. */
export interface Owed {
  readonly evaluate: boolean;
  readonly snapshot: boolean;
}

/** A stop is heard of, and progress told, after about this long. */
export const taskSeconds = 0.2;

type Phase = 'idle' | 'segments' | 'settling' | 'updating' | 'task' | 'evaluating' | 'over';

/** What the steps are at, for people. */
const phaseWords: { readonly [P in Phase]: string } = {
  idle: 'begin',
  segments: 'forward and backward',
  settling: 'all-reduce',
  updating: 'update',
  task: 'forward, backward and update',
  evaluating: 'evaluation',
  over: 'end',
};

export class StepMachine {
  readonly #plan: StepPlan;
  #phase: Phase = 'idle';
  readonly #owed: Owed;
  /** The step in flight, or the newest committed one between two. */
  #step: number;
  #committedStep: number;
  #segment = 0;
  /** The lanes are through with the segment. */
  #segmentRan = false;
  #exchangesOpen = 0;
  #bucketsReduced = 0;
  /** As many as are known to be short; one until something is known. */
  #stepsPerTask = 1;
  #reports: { readonly finite: boolean; readonly stop: boolean } | null = null;
  #stopRequested = false;
  /** Agreed: this step is the last. */
  #stopping = false;

  /** `startStep`: steps committed so far. `owed`: what is due after it and was not done. */
  constructor(plan: StepPlan, startStep: number, owed: Owed = { evaluate: false, snapshot: false }) {
    this.#plan = plan;
    this.#step = startStep;
    this.#committedStep = startStep;
    this.#owed = owed;
  }

  /** The newest step that is applied here. */
  get committed(): number {
    return this.#committedStep;
  }

  /** The step in flight. */
  get step(): number {
    return this.#step;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** For people. */
  get doing(): string {
    return phaseWords[this.#phase];
  }

  handle(event: StepEvent): StepEffect[] {
    switch (event.is) {
      case 'begin':
        assert(this.#phase === 'idle', 'a run begins once');
        return this.#begin();
      case 'stop':
        this.#stopRequested = true;
        return [];
      case 'segmentDone':
        return this.#segmentDone();
      case 'exchangeReady':
        this.#require('segments', event.is);
        this.#exchangesOpen += 1;
        return [{ do: 'exchange', step: this.#step, exchange: event.exchange }];
      case 'exchanged':
        this.#require('segments', event.is);
        this.#exchangesOpen -= 1;
        return this.#nextSegment();
      case 'bucketReady':
        this.#require('segments', event.is);
        return [{ do: 'reduce', step: this.#step, bucket: event.bucket }];
      case 'bucketReduced':
        this.#bucketsReduced += 1;
        return this.#settle();
      case 'reportsSwapped':
        this.#require('settling', event.is);
        this.#reports = event;
        return this.#settle();
      case 'taskDone':
        this.#require('task', event.is);
        this.#stepsPerTask = Math.floor(taskSeconds / Math.max(event.secondsPerStep, 1e-6));
        return this.#taskDone(event.steps, event.finite);
      case 'updated':
        this.#require('updating', event.is);
        return event.finite ? this.#updateDone() : this.#becomeDiagnosing();
      case 'evaluated':
        this.#require('evaluating', event.is);
        return this.#afterEvaluation();
      default:
        return event satisfies never;
    }
  }

  #require(phase: Phase, event: string): void {
    assert(this.#phase === phase, `${event} while ${this.#phase}, in step ${this.#step}`);
  }

  #begin(): StepEffect[] {
    const effects: StepEffect[] = [];
    if (this.#owed.evaluate) {
      this.#phase = 'evaluating';
      return [{ do: 'evaluate', step: this.#step }];
    }
    const last = this.#step >= this.#plan.endStep;
    if (this.#owed.snapshot) effects.push({ do: 'snapshot', step: this.#step, last });
    if (last) return [...effects, ...this.#becomeOver(this.#step)];
    this.#step += 1;
    return [...effects, ...this.#beginStep()];
  }

  #beginStep(): StepEffect[] {
    if (this.#plan.alone) return this.#beginTask();
    this.#phase = 'segments';
    this.#segment = 0;
    this.#segmentRan = false;
    this.#bucketsReduced = 0;
    this.#reports = null;
    return [{ do: 'runSegment', step: this.#step, segment: 0 }];
  }

  #segmentDone(): StepEffect[] {
    this.#require('segments', 'segmentDone');
    this.#segmentRan = true;
    return this.#nextSegment();
  }

  #nextSegment(): StepEffect[] {
    if (!this.#segmentRan || this.#exchangesOpen > 0) return [];
    this.#segment += 1;
    this.#segmentRan = false;
    if (this.#segment < this.#plan.segments) {
      return [{ do: 'runSegment', step: this.#step, segment: this.#segment }];
    }
    this.#phase = 'settling';
    return [{ do: 'swapReports', step: this.#step, stop: this.#stopRequested }, ...this.#settle()];
  }

  /** Goes on to the update once all of the gradient and all reports are here. */
  #settle(): StepEffect[] {
    if (this.#phase !== 'settling' || this.#reports === null) return [];
    if (!this.#reports.finite) return this.#becomeDiagnosing();
    if (this.#bucketsReduced < this.#plan.buckets) return [];
    this.#stopping = this.#reports.stop;
    this.#phase = 'updating';
    this.#segment = 0;
    return [{ do: 'runUpdate', step: this.#step, segment: 0 }];
  }

  #updateDone(): StepEffect[] {
    this.#segment += 1;
    if (this.#segment < this.#plan.updates) {
      return [{ do: 'runUpdate', step: this.#step, segment: this.#segment }];
    }
    this.#committedStep = this.#step;
    return [{ do: 'report', step: this.#step }, ...this.#afterCommit()];
  }

  /** As many steps as there are up to the next one after which something is due. */
  #beginTask(): StepEffect[] {
    this.#phase = 'task';
    const { endStep } = this.#plan;
    const most = Math.max(1, Math.min(this.#stepsPerTask, this.#plan.stepsPerTaskMax));
    let last = this.#step;
    const due = (step: number): boolean =>
      step >= endStep ||
      this.#plan.evaluateAfter(step) ||
      this.#plan.checkpointAfter(step) ||
      this.#plan.digestAfter(step);
    while (!due(last) && last - this.#step + 1 < most) last += 1;
    return [{ do: 'runTask', step: this.#step, steps: last - this.#step + 1 }];
  }

  #taskDone(steps: number, finite: boolean): StepEffect[] {
    const reports = Array.from(
      { length: steps },
      (_, i): StepEffect => ({
        do: 'report',
        step: this.#step + i,
      }),
    );
    this.#step += steps;
    this.#committedStep = this.#step - 1;
    if (!finite) return [...reports, ...this.#becomeDiagnosing()];
    this.#step -= 1;
    this.#stopping = this.#stopRequested;
    return [...reports, ...this.#afterCommit()];
  }

  /** The step in flight is applied everywhere. */
  #afterCommit(): StepEffect[] {
    if (!this.#plan.evaluateAfter(this.#step)) return this.#afterEvaluation();
    this.#phase = 'evaluating';
    return [{ do: 'evaluate', step: this.#step }];
  }

  #afterEvaluation(): StepEffect[] {
    const last = this.#stopping || this.#step >= this.#plan.endStep;
    const effects: StepEffect[] = [];
    const isKept = last || this.#plan.checkpointAfter(this.#step);
    if (isKept || this.#plan.digestAfter(this.#step)) effects.push({ do: 'digest', step: this.#step });
    if (isKept) effects.push({ do: 'snapshot', step: this.#step, last });
    if (last) return [...effects, ...this.#becomeOver(this.#step)];
    this.#step += 1;
    return [...effects, ...this.#beginStep()];
  }

  #becomeDiagnosing(): StepEffect[] {
    this.#phase = 'over';
    return [{ do: 'diagnose', step: this.#step }];
  }

  #becomeOver(step: number): StepEffect[] {
    this.#phase = 'over';
    return [{ do: 'finish', step }];
  }
}
