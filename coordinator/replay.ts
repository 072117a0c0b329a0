// Steps that are computed again because the members' states differed. All go back to the newest checkpoint, on which all agreed,
// and each computes every shard alone: no member can then be the cause of another's mistake, equal results are right, and a
// member that a majority contradicts computes wrongly. Pure.

type Digest = number | string;

/** Each further time the replay goes on for twice as many steps beyond the difference, up to so many. */
const extraStepsMax = 1_024;

export class Replay {
  #to: number | null;
  #times = 0;
  /** The replay itself ended in a difference that no majority settled. */
  #isRepeated = false;
  /** What the members told of the state after `step`, by worker, before they went back. */
  #before: { readonly step: number; readonly digests: ReadonlyMap<string, Digest> } | null = null;

  /** `to`: of a replay that another coordinator began; null where there was none. */
  constructor(to: number | null) {
    this.#to = to;
  }

  /** The last step that is computed again; null while there is no replay. */
  get to(): number | null {
    return this.#to;
  }

  /** The states after `step` differ; returns up to which step is computed again. */
  begin(step: number, endStep: number, digests: ReadonlyMap<string, Digest>): number {
    const extraSteps = this.#times === 0 ? 0 : Math.min(extraStepsMax, 2 ** (this.#times - 1));
    this.#times += 1;
    // The step may be one that a worker made up.
    this.#to = Math.min(endStep, Math.max(step + extraSteps, this.#to ?? 0));
    this.#isRepeated = false;
    this.#before = { step, digests };
    return this.#to;
  }

  /** What went wrong in it may pass: true once, as it is then taken once more. */
  repeats(): boolean {
    const isFirst = !this.#isRepeated;
    this.#isRepeated = true;
    return isFirst;
  }

  /** All agree. `digest`: of the state after a step, as all told it now; the workers are those that had told another. */
  end(digest: (step: number) => Digest | undefined): readonly string[] {
    const before = this.#before;
    this.#to = null;
    this.#isRepeated = false;
    this.#before = null;
    const right = before === null ? undefined : digest(before.step);
    if (before === null || right === undefined) return [];
    return [...before.digests].flatMap(([workerId, told]) => (told === right ? [] : [workerId]));
  }
}
