// A message of a step that is over: the same one once more just now is nothing to mind, an old one is. Pure.

import { ProtocolError } from '../../proto/error.ts';

/** A connection keeps the order, and nobody is more than two steps behind another. */
const stepsBehindMax = 2;

/** `done`: the last step that is over here. Throws ProtocolError. */
export function refuseReplay(step: number, done: number): void {
  if (step + stepsBehindMax >= done) return;
  throw new ProtocolError('unexpected', `a message of step ${step} once more, while step ${done} is over`);
}
