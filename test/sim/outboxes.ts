// What leaves a simulated worker for its peers: in order on each connection, some of it late. Memory that was given is read
// when it leaves, as the arena's is.

import type { Host, Random } from './clock.ts';

export class Outboxes {
  readonly #host: Host;
  readonly #random: Random;
  readonly #waiting = new Map<number, (() => void)[]>();

  constructor(host: Host, random: Random) {
    this.#host = host;
    this.#random = random;
  }

  /** `late`: after a while, and all that follows after it. */
  leave(to: number, late: boolean, act: () => void): void {
    const outbox = this.#waiting.get(to) ?? [];
    this.#waiting.set(to, outbox);
    if (outbox.length === 0 && !late) {
      act();
      return;
    }
    outbox.push(act);
    if (outbox.length > 1) return;
    this.#host.after(this.#random.between(0, 4), () => {
      for (const each of outbox.splice(0)) each();
    });
  }
}

export function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
