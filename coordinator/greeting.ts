// What a hello leads to: who is let in, whose older connection it takes the place of, and whether it shows that this coordinator
// has been followed by another. Pure.

import { type Refusal, refusalOf } from './admission.ts';
import type { PresentMembership } from './present-membership.ts';
import type { Roster } from './roster.ts';
import { type Takeover, takenOverText } from './takeover.ts';
import type { Hello, RunFacts, Worker } from './worker-record.ts';

export type Greeting =
  | { readonly is: 'refused'; readonly refusal: Refusal }
  /** Nobody but this coordinator makes generations: it ends when that is no longer so. */
  | { readonly is: 'takenOver'; readonly message: string }
  /** `before`: connections of the same worker that end. */
  | { readonly is: 'welcome'; readonly before: readonly Worker[] };

export interface GreetingContext {
  readonly facts: RunFacts;
  readonly roster: Roster;
  readonly present: PresentMembership;
  readonly takeover: Takeover;
  /** Of a worker that is not let in for now. */
  readonly excluded: Refusal | null;
}

const refused = (refusal: Refusal): Greeting => ({ is: 'refused', refusal });
const notNow = (message: string): Greeting => refused({ code: 'LOCKSTEP_CONNECT_FAILED', message });

export function greetingOf(
  { address }: Worker,
  hello: Hello,
  { facts, roster, present, takeover, excluded }: GreetingContext,
): Greeting {
  const { workerId, generation } = hello;
  const refusal = refusalOf(hello, facts, present.numerics ?? roster.firstHello()) ?? excluded;
  if (refusal !== null) return refused(refusal);
  const known = present.generation;
  if (generation > known) {
    // One word does not show it.
    return takeover.isShown(workerId, { known, isDenied: present.members.length > 0 })
      ? { is: 'takenOver', message: takenOverText(generation, known) }
      : notNow(`it comes with generation ${generation}, but the newest is ${known}`);
  }
  const before = roster.called(workerId);
  // Nobody puts another out by its name: where that is gone, its silence soon shows it.
  if (before !== undefined && before.address !== address) {
    return notNow('a worker of this name is here already');
  }
  return { is: 'welcome', before: before === undefined ? [] : [before] };
}
