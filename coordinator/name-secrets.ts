// Names of workers, proved (no I/O but randomness and hashing). With its first welcome a worker gets a secret, which it shows in
// each later hello, so that another process with the token cannot take its place by its name. The secrets are made from one key
// in the journal: a coordinator that takes the run up again knows them all, and the token alone does not give them.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { MessageOf } from '../proto/messages.ts';

export const newNameKey = (): string => randomBytes(32).toString('hex');

type Named = Pick<MessageOf<'hello'>, 'workerId' | 'nameSecret' | 'runId'>;

export class NameSecrets {
  readonly #key: string;
  readonly #runId: string;
  /** Names whose worker has its secret, as what it said after its welcome shows: a lost welcome may be asked for again. */
  readonly #owned: Set<string>;

  /** `owned`: of workers that may come back to this coordinator. */
  constructor(key: string, runId: string, owned: Iterable<string>) {
    this.#key = key;
    this.#runId = runId;
    this.#owned = new Set(owned);
  }

  /** Of 256 bits, in hexadecimal. */
  secretOf(workerId: string): string {
    return createHmac('sha256', this.#key).update(workerId).digest('hex');
  }

  /** The worker of this name has had its welcome. */
  own(workerId: string): void {
    this.#owned.add(workerId);
  }

  /** Why this hello may not use its name, or null: it has its secret, or nobody has the name yet. */
  refusalOf(hello: Named): MessageOf<'refused'> | null {
    // One of another run is refused for that, by the machine.
    if (hello.runId !== '' && hello.runId !== this.#runId) return null;
    if (this.#admits(hello)) return null;
    const message = `the name ${hello.workerId} belongs to another worker of this run, which can prove it`;
    return { type: 'refused', code: 'LOCKSTEP_UNAUTHORIZED', message };
  }

  #admits({ workerId, nameSecret }: Named): boolean {
    const expected = Buffer.from(this.secretOf(workerId));
    const given = Buffer.from(nameSecret);
    if (given.length === expected.length) return timingSafeEqual(given, expected);
    return nameSecret === '' && !this.#owned.has(workerId);
  }
}
