// How long the other end of a connection may say nothing while a membership forms. Pure.

import { limits } from './limits.ts';

/**
 * Of a member that has compiled, in milliseconds: as long as it may take to connect to all (on cores that the others use as
 * well), and for one turn over the whole state, as when it draws the first values.
 */
export function silenceOnceCompiledMs(members: number, stateBytes: number): number {
  const connectMs = limits.meshTimeoutMs + limits.meshTimeoutOfMemberMs * members;
  return Math.min(limits.silenceWhileFormingMs, connectMs + stateBytes / limits.stateBytesOfMillisecond);
}
