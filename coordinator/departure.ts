// How a worker that wants to leave goes without taking the newest state with it. Pure; each case says why.

import type { Worker } from './worker-record.ts';

export type Departure =
  /** Others have what it has, or it has nothing. */
  | 'atOnce'
  /** It stays in the membership that is being formed, and is released when the others are at its state. */
  | 'whenAligned'
  /** It may have the newest state, and no membership is being formed: one is, for that. */
  | 'form'
  /** It is the last: it finishes its step, and its state becomes a checkpoint. */
  | 'checkpoint';

export function departureOf(
  worker: Worker,
  phase: 'gathering' | 'aligning' | 'running' | 'paused',
  members: readonly Worker[],
): Departure {
  if (!worker.hasData || worker.memberOf === 0) return 'atOnce';
  if (phase === 'gathering') return 'whenAligned';
  if (phase === 'paused') return 'form';
  // A spare, or one that waits to be taken in: the members have more, or compute it again.
  if (!members.includes(worker)) return 'atOnce';
  if (phase === 'aligning') return 'whenAligned';
  return members.some(({ leaving }) => !leaving) ? 'atOnce' : 'checkpoint';
}

/** With too few the run pauses, unless what they have is to be kept first: one wants to leave, or the run is to stop. */
export function mustHandOver(members: readonly Worker[], stopRequested: boolean): boolean {
  return members.some(({ leaving, memberOf }) => memberOf > 0 && (leaving || stopRequested));
}
