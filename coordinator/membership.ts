// Who is a member, and where members go on: the decisions that need no state of their own. Pure; each says why.

import type { MessageOf } from '../proto/messages.ts';
import { shardBoundaries } from '../src/numerics/tree.ts';
import type { CoordinatorEffect } from './effects.ts';
import type { Progress } from './progress.ts';
import type { Numerics } from './run-identity.ts';
import type { RunFacts, Worker } from './worker-record.ts';

/** The members as they are told of each other: shards contiguous, as even as can be. */
function memberList(members: readonly Worker[], shards: number): MessageOf<'membership'>['members'] {
  const boundaries = shardBoundaries(members.length, shards);
  return members.map(({ hello, address }, rank) => ({
    workerId: hello!.workerId,
    host: hello!.peerHost || address,
    port: hello!.peerPort,
    firstShard: boundaries[rank]!,
    endShard: boundaries[rank + 1]!,
  }));
}

/** In which a membership forms: arenas are made, programs compiled, states healed. In milliseconds. */
export const formingMs = 300_000;

/**
 * Those who keep a membership from forming. Who has the newest state waits for those that heal from it: these go first, and
 * also where all are late for a second time (`isAgain`), for it can go on without them. Else nobody where all are as far.
 */
export function lateToForm(
  members: readonly Worker[],
  alignment: Pick<Alignment, 'origin' | 'behind'> | null,
  isAgain: boolean,
): Worker[] {
  const silent = members.filter(({ standing }) => standing === undefined);
  if (silent.length > 0) return silent.length < members.length ? silent : [];
  const late = members.filter(({ ready }) => !ready);
  const heal = late.filter(
    (each) => alignment?.origin === 'member' && alignment.behind.includes(members.indexOf(each)),
  );
  if (late.length === members.length) return isAgain ? heal : [];
  return heal.length > 0 ? heal : late;
}

/** A generation is made durable, with `numerics` where it is the run's first, told to people, and then to its members. */
export function formation(
  generation: number,
  members: readonly Worker[],
  { shards, endStep }: Pick<RunFacts, 'shards' | 'endStep'>,
  reason: string,
  { numerics, replayTo }: { readonly numerics: Numerics | null; readonly replayTo: number | null },
): CoordinatorEffect[] {
  const list = memberList(members, shards);
  const { backend, variant, fingerprint } = members[0]!.hello!;
  const summary = members.map(({ hello }) => ({ workerId: hello!.workerId, threads: hello!.threads }));
  const alone = replayTo !== null;
  const message = {
    type: 'membership',
    generation,
    members: list,
    endStep: replayTo ?? endStep,
    alone,
  } as const;
  return [
    { do: 'journal', generation, workerIds: list.map(({ workerId }) => workerId), numerics, replayTo },
    { do: 'formed', generation, members: summary, backend, variant, fingerprint, reason, formingMs },
    ...members.map(
      ({ connection }, rank) => ({ do: 'send', connection, message: { ...message, rank } }) as const,
    ),
  ];
}

export interface Standing {
  readonly rank: number;
  /** Committed steps of the state it has; null where it has none. */
  readonly step: number | null;
}

export interface Alignment {
  readonly step: number;
  readonly origin: 'member' | 'checkpoint' | 'seed';
  /** The rank that heals the others, where the origin is a member. */
  readonly source: number;
  readonly behind: readonly number[];
  readonly reason: string;
}

/**
 * The newest state there is: of a member, else of the checkpoint, else that of the seed. A checkpoint that is newer than all
 * members wins: nothing that was acknowledged on disk is lost.
 */
export function alignmentOf(standings: readonly Standing[], checkpointStep: number | null): Alignment {
  const newest = standings.reduce<Standing | null>(
    (best, each) => (each.step !== null && each.step > (best?.step ?? -1) ? each : best),
    null,
  );
  const others = (step: number): number[] =>
    standings.filter((each) => each.step !== step).map(({ rank }) => rank);
  if (newest !== null && newest.step! >= (checkpointStep ?? 0)) {
    const step = newest.step!;
    const behind = others(step);
    const reason =
      behind.length === 0
        ? `all are at step ${step}`
        : `${behind.length === 1 ? `rank ${behind[0]} heals` : `ranks ${behind.join(', ')} heal`} from rank ${newest.rank} at step ${step}`;
    return { step, origin: 'member', source: newest.rank, behind, reason };
  }
  const step = checkpointStep ?? 0;
  return {
    step,
    origin: checkpointStep === null ? 'seed' : 'checkpoint',
    source: 0,
    behind: others(step),
    reason:
      checkpointStep === null ? 'all start from the seed' : `all go on from the checkpoint of step ${step}`,
  };
}

/**
 * Null until all have told their standing, and while something newer than what they have is on its way to the disk. `goesBack`:
 * what they have does not count, as it differs.
 */
export function alignmentIfKnown(
  members: readonly Worker[],
  progress: Pick<Progress, 'checkpointStep' | 'writesNewerThan'>,
  goesBack: boolean,
): Alignment | null {
  const standings = members.flatMap(({ standing }, rank) =>
    standing === undefined ? [] : [{ rank, step: goesBack ? null : standing }],
  );
  if (standings.length < members.length) return null;
  if (progress.writesNewerThan(Math.max(...standings.map(({ step }) => step ?? 0)))) return null;
  return alignmentOf(standings, progress.checkpointStep);
}
