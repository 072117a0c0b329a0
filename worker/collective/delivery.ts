// A shell with timers: delivers messages of peers late and out of order, by a seed, for tests that the order of arrival
// changes nothing.

import { setTimeout as later } from 'node:timers';

export const shuffleVariable = 'LOCKSTEP_SHUFFLE_SEED';

/** Runs actions some time after they are given. */
export interface Delivery {
  deliver(action: () => void): void;
}

export const promptDelivery: Delivery = {
  deliver(action) {
    action();
  },
};

/** Holds what it is given and lets go of it in an order drawn from the seed, some of it after up to `delayMsMax`. */
export class ShuffledDelivery implements Delivery {
  readonly #held: (() => void)[] = [];
  readonly #delayMsMax: number;
  #state: number;

  constructor(seed: number, delayMsMax = 3) {
    this.#state = seed * 2 + 1;
    this.#delayMsMax = delayMsMax;
  }

  deliver(action: () => void): void {
    this.#held.push(action);
    later(() => this.#release(), this.#draw(this.#delayMsMax + 1));
  }

  /** As many releases as actions: each takes any one of those held. */
  #release(): void {
    const [action] = this.#held.splice(this.#draw(this.#held.length), 1);
    action?.();
  }

  /** 0 .. below - 1: the high bits of a linear congruential generator (Knuth's MMIX multiplier, cut to 32 bits). */
  #draw(below: number): number {
    this.#state = (Math.imul(this.#state, 0x4c957f2d) + 0x14057b7f) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * below);
  }
}

/** As the environment says: shuffled where LOCKSTEP_SHUFFLE_SEED is set. */
export function deliveryOf(environment: NodeJS.ProcessEnv): Delivery {
  const seed = environment[shuffleVariable];
  return seed === undefined || seed === '' ? promptDelivery : new ShuffledDelivery(Number(seed) >>> 0);
}
