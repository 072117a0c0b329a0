// Step and evaluation events in the order of steps. Parts of an evaluation come from every member, so the last part may arrive
// after the report of a later step: such reports are held until the evaluation is told. Training never waits for it. Pure.

import type { EvaluationEvent, StepEvent } from '../src/engine/events.ts';

export class EventOrder {
  readonly #evaluateAfter: (step: number) => boolean;
  readonly #tell: (event: StepEvent | EvaluationEvent) => void;
  #held: StepEvent[] = [];
  /** The step whose evaluation comes next. */
  #awaited: number | null = null;

  constructor(evaluateAfter: (step: number) => boolean, tell: (event: StepEvent | EvaluationEvent) => void) {
    this.#evaluateAfter = evaluateAfter;
    this.#tell = tell;
  }

  step(event: StepEvent): void {
    this.#held.push(event);
    this.#release();
  }

  evaluated(event: EvaluationEvent): void {
    this.#tell(event);
    if (event.step === this.#awaited) this.#awaited = null;
    this.#release();
  }

  /** The members go on after `step`. An evaluation of an earlier step that was not complete is lost with its membership. */
  aligned(step: number): void {
    if (this.#awaited !== null && this.#awaited < step) this.#awaited = null;
    this.#release(step);
  }

  /** The members go back to the state after `step`: what comes after it is told again. */
  wentBack(step: number): void {
    this.#held = this.#held.filter((event) => event.step <= step);
    if (this.#awaited !== null && this.#awaited > step) this.#awaited = null;
  }

  /** The run is over: nothing more comes. */
  end(): void {
    this.aligned(Number.POSITIVE_INFINITY);
  }

  /** Evaluations of steps before `from` are not waited for. */
  #release(from = 0): void {
    while (this.#awaited === null) {
      const event = this.#held.shift();
      if (event === undefined) return;
      if (event.step >= from && this.#evaluateAfter(event.step)) this.#awaited = event.step;
      this.#tell(event);
    }
  }
}
