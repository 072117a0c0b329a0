// Whose fault a generation's trouble is, and what follows from it: who cannot be reached, who sent what it must not, and
// whether a number that is not finite is one worker's or the model's. Verdicts say why. Pure.

import { Claims } from './claims.ts';
import { Credit } from './credit.ts';
import type { CoordinatorEffect, Timer } from './effects.ts';
import { Exclusions } from './exclusions.ts';
import { Suspicions } from './suspicion.ts';

/** What a doubt about a step leads to. */
export type Doubt =
  /** The step is computed again, and what members send each other in it is looked at. */
  | 'verify'
  /** That was done, nobody sent anything wrong, and another doubts the same step: it is the model. */
  | 'notFinite'
  /** That was done, and only this worker doubts that step: it may be that one. */
  | 'doubter';

/**
 * A membership that a worker keeps from forming costs everybody minutes, and it stays out for as long, in milliseconds; after
 * each further time twice as long, up to the most. Not for good: whom it heals from, or the wire between, may be what is slow.
 */
const lateMs = { first: 300_000, most: 3_600_000 } as const;

export class Blame {
  readonly suspicions = new Suspicions();
  readonly exclusions: Exclusions;
  readonly credit = new Credit();
  readonly claims = new Claims();
  /** How many memberships each kept from forming. */
  readonly #heldUp = new Map<string, number>();
  /** The newest step that something was wrong with. */
  #doubted: number | null = null;
  /** Who could not say whose fault it was, and in which step. */
  #doubter: { readonly step: number; readonly workerId: string } | null = null;
  /** The generation and the step of it that are looked at. */
  #verifying: { readonly step: number; readonly generation: number } | null = null;

  /** `quarantined`: by the coordinators before. */
  constructor(quarantined: ReadonlyMap<string, string>) {
    this.exclusions = new Exclusions(quarantined);
  }

  /** It kept a membership from forming, and everybody waited. It stays out for as many milliseconds as this returns. */
  heldUp(workerId: string): number {
    const times = this.#heldUp.get(workerId) ?? 0;
    this.#heldUp.set(workerId, times + 1);
    return Math.min(lateMs.most, lateMs.first * 2 ** times);
  }

  /** A new generation: whoever is in it can be trusted again. */
  formed(): void {
    this.suspicions.clear();
  }

  /** This member of `generation` cannot say whose fault it is that this step's result is not finite. */
  doubts(step: number, generation: number, workerId: string): Doubt {
    const isLookedAt = this.#verifying?.generation === generation && this.#verifying.step === step;
    const before = this.#doubter;
    const another = before !== null && before.step === step && before.workerId !== workerId;
    if (isLookedAt && another) return 'notFinite';
    this.#doubter = { step, workerId };
    this.lookAt(step);
    return isLookedAt ? 'doubter' : 'verify';
  }

  /** Something was wrong in this step: what members send each other in it is to be looked at. */
  lookAt(step: number): void {
    this.#doubted = step;
  }

  /** What was set for later. */
  due({ kind, workerId }: Extract<Timer, { readonly workerId: string }>): CoordinatorEffect[] {
    if (kind !== 'exclusion') this.credit.forget(workerId);
    return kind === 'complaint' ? [] : this.exclusions.due({ kind, workerId });
  }

  /**
   * Is the first step of this generation, `step`, to be looked at? The one after a doubted step as well: whoever spoiled it for
   * the others may have committed it itself.
   */
  verifies(step: number, generation: number): boolean {
    const doubted = this.#doubted ?? Number.POSITIVE_INFINITY;
    if (step < doubted || step > doubted + 1) return false;
    this.#verifying = { step, generation };
    return true;
  }
}
