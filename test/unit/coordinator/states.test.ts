// Stories of members whose states differ: all go back to the newest checkpoint, and each computes alone.

import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import type { MessageOf } from '../../../proto/messages.ts';
import { digest, type facts, inShort, report, Story, sha } from './story.ts';

let story = new Story();
const begin = (members: number, changes: Partial<typeof facts> = {}): void => {
  story = new Story({ workersWanted: members, ...changes });
  for (let connection = 1; connection <= members; connection += 1) story.join(connection);
  story.align(1, 0, connections(members));
};
const connections = (members: number): number[] => Array.from({ length: members }, (_, i) => i + 1);
const membershipOf = (effects: readonly CoordinatorEffect[]): MessageOf<'membership'> => {
  const sent = effects.find((effect) => effect.do === 'send' && effect.message.type === 'membership');
  if (sent?.do !== 'send' || sent.message.type !== 'membership') throw new Error(`none: ${inShort(effects)}`);
  return sent.message;
};
const reasonOf = (effects: readonly CoordinatorEffect[]): string => {
  const formed = effects.find((effect) => effect.do === 'formed');
  return formed?.do === 'formed' ? formed.reason : '';
};
/** Each comes to the end of the replay, with the digest that it has. */
const finish = (generation: number, step: number, digests: readonly number[]): CoordinatorEffect[] =>
  digests
    .map((each, i) => {
      const told = story.say(i + 1, digest(generation, step, each));
      if (told.length > 0) return told;
      const weightsSha256 = String(each % 10).repeat(64);
      return story.machine.handle({
        ...{ is: 'message', connection: i + 1 },
        message: { type: 'finished', generation, step, weightsSha256 },
      });
    })
    .find(
      (effects, i) => effects.length > 0 && (effects[0]?.do !== 'setTimer' || i === digests.length - 1),
    ) ?? [];

describe('members whose states differ', () => {
  beforeEach(() => begin(3, { checkpointStep: 2 }));

  it('all go back to the newest checkpoint, and compute alone', () => {
    expect(story.say(1, digest(1, 4, 1))).toEqual([]);
    const effects = story.say(3, digest(1, 4, 2));
    expect(membershipOf(effects)).toMatchObject({ generation: 2, alone: true, endStep: 4 });
    expect(effects[0]).toMatchObject({ do: 'journal', generation: 2, replayTo: 4 });
    const aligned = story.align(2, 4, [1, 2, 3]);
    expect(aligned[0]).toMatchObject({ do: 'aligned', step: 2, goesBack: true });
    expect(aligned[1]).toMatchObject({ message: { origin: 'checkpoint', step: 2, behind: [0, 1, 2] } });
  });

  it('go on when all agree, and it is told who had another state before', () => {
    story.say(1, digest(1, 4, 1));
    story.say(3, digest(1, 4, 2));
    story.align(2, 4, [1, 2, 3]);
    const effects = finish(2, 4, [1, 1, 1]);
    expect(membershipOf(effects)).toMatchObject({ generation: 3, alone: false, endStep: 10 });
    expect(reasonOf(effects)).toBe(
      'all workers agree on the state after step 4, computed by each alone; before, worker w3 had another state',
    );
    expect(effects[0]).toMatchObject({ do: 'journal', replayTo: null });
    const aligned = story.align(3, 4, [1, 2, 3]);
    expect(aligned[1]).toMatchObject({ message: { step: 4, verify: true } });
  });

  it('lose the one that a majority contradicts, each alone', () => {
    story.say(1, digest(1, 4, 1));
    story.say(3, digest(1, 4, 2));
    story.align(2, 4, [1, 2, 3]);
    const effects = finish(2, 4, [1, 1, 2]);
    expect(inShort(effects).slice(0, 2)).toEqual(['refused to 3', 'close']);
    expect(membershipOf(effects)).toMatchObject({ alone: true, endStep: 4 });
    expect(membershipOf(effects).members).toHaveLength(2);
  });

  it('tell their steps again, which may have been wrong', () => {
    for (const step of [3, 4]) story.say(1, report(1, step));
    story.say(1, digest(1, 4, 1));
    story.say(3, digest(1, 4, 2));
    story.align(2, 4, [1, 2, 3]);
    expect(inShort(story.say(1, report(2, 3)))).toEqual(['stepReport']);
  });

  it('are not aligned with what they have, however often a membership forms meanwhile', () => {
    story.say(1, digest(1, 4, 1));
    story.say(3, digest(1, 4, 2));
    const effects = story.machine.handle({ is: 'closed', connection: 2, why: 'killed' });
    expect(membershipOf(effects)).toMatchObject({ generation: 3, alone: true, endStep: 4 });
    expect(story.align(3, 9, [1, 3])[0]).toMatchObject({ do: 'aligned', step: 2, goesBack: true });
  });

  it('go back for twice as many steps more each time', () => {
    const ends = [4, 5, 7].map((step, i) => {
      const generation = 2 * i + 1;
      story.say(1, digest(generation, step, 1));
      const end = membershipOf(story.say(3, digest(generation, step, 2))).endStep;
      story.align(generation + 1, step, [1, 2, 3]);
      finish(generation + 1, end, [1, 1, 1]);
      story.align(generation + 2, end, [1, 2, 3]);
      return end;
    });
    expect(ends).toEqual([4, 6, 9]);
  });

  it('are not joined while they compute alone', () => {
    story.say(1, digest(1, 4, 1));
    story.say(3, digest(1, 4, 2));
    story.align(2, 4, [1, 2, 3]);
    story.join(4);
    story.machine.handle({ is: 'timer', timer: { kind: 'joining', generation: 2 } });
    expect(inShort(story.say(1, report(2, 3)))).toEqual(['stepReport']);
    expect(membershipOf(finish(2, 4, [1, 1, 1])).members).toHaveLength(4);
  });

  it('lose one that does not come to the end of it', () => {
    story.say(1, digest(1, 4, 1));
    story.say(3, digest(1, 4, 2));
    story.align(2, 4, [1, 2, 3]);
    expect(inShort(finish(2, 4, [1, 1]))).toEqual([]);
    const late = story.machine.handle({ is: 'timer', timer: { kind: 'replaying', generation: 2 } });
    expect(membershipOf(late).members).toHaveLength(2);
  });

  it('end in order when they are told to stop meanwhile', () => {
    story.say(1, digest(1, 4, 1));
    story.say(3, digest(1, 4, 2));
    story.align(2, 4, [1, 2, 3]);
    expect(story.machine.handle({ is: 'stop' }).at(-1)).toEqual({
      do: 'fail',
      code: 'LOCKSTEP_STOPPED',
      message: 'stopped while steps were computed again; the newest checkpoint stays',
    });
  });
});

it('two members that differ alone compute once more; then the run fails, and names the checkpoint', () => {
  begin(2, { checkpointStep: 2 });
  story.say(1, digest(1, 4, 1));
  story.say(2, digest(1, 4, 2));
  story.align(2, 4, [1, 2]);
  expect(membershipOf(finish(2, 4, [1, 2]))).toMatchObject({ generation: 3, alone: true });
  story.align(3, 4, [1, 2]);
  expect(finish(3, 4, [1, 2]).at(-1)).toMatchObject({
    do: 'fail',
    code: 'LOCKSTEP_WEIGHTS_DIFFER',
    message: expect.stringMatching(
      /^workers w1 and w2 compute step 4 differently.* the checkpoint of step 2, .*--resume/,
    ),
  });
});

it('members that are to go on with unlike states of one step go back first', () => {
  begin(2);
  story.takeIn(3, 1, 1);
  for (const connection of [1, 2, 3])
    story.say(connection, { type: 'standing', generation: 2, hasState: connection < 3, step: 1 });
  expect(story.say(1, { type: 'ready', generation: 2, digest: 1 })).toEqual([]);
  const effects = story.say(2, { type: 'ready', generation: 2, digest: 2 });
  expect(membershipOf(effects)).toMatchObject({ generation: 3, alone: true, endStep: 1 });
});

it('a coordinator that takes the run up again goes on with the replay', () => {
  story = new Story({ generation: 7, membersBefore: ['w1'], replayTo: 6, checkpointStep: 2 });
  expect(membershipOf(story.join(1))).toMatchObject({ generation: 8, alone: true, endStep: 6 });
  expect(story.align(8, 6, [1])[0]).toMatchObject({ do: 'aligned', step: 2, goesBack: true });
});

describe('a snapshot', () => {
  beforeEach(() => begin(2));
  const came = (step: number, value: number): CoordinatorEffect[] =>
    story.machine.handle({ is: 'snapshotCame', step, digest: value });

  it('is kept when all have told its digest, whichever comes first', () => {
    story.say(1, digest(1, 4, 1));
    expect(came(4, 1)).toEqual([]);
    expect(story.say(2, digest(1, 4, 1))).toEqual([{ do: 'keep', step: 4 }]);
    story.say(2, digest(1, 8, 1));
    story.say(1, digest(1, 8, 1));
    expect(came(8, 1)).toEqual([{ do: 'keep', step: 8 }]);
  });

  it.each([
    ['another', 1],
    ['no', null],
  ])('is misconduct of a worker that told %s digest of it', (_what, told) => {
    if (told !== null) story.say(1, digest(1, 4, told));
    expect(inShort(came(4, 2)).slice(0, 2)).toEqual(['refused to 1', 'close']);
  });
});

it('who comes to the end without a digest of its state is left out', () => {
  begin(2);
  const end = { type: 'finished', generation: 1, step: 10, weightsSha256: sha } as const;
  const effects = story.machine.handle({ is: 'message', connection: 2, message: end });
  expect(inShort(effects).slice(0, 2)).toEqual(['refused to 2', 'close']);
});
