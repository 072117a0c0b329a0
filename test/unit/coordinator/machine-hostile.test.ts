// Stories of a coordinator and a worker with the token that means harm, or is broken: what one worker says ends no run, and
// costs the others little.

import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import type { MessageOf } from '../../../proto/messages.ts';
import { type facts, hello, inShort, Story } from './story.ts';

let story = new Story();

function greet(connection: number, greeting: MessageOf<'hello'>): CoordinatorEffect[] {
  story.machine.handle({ is: 'connected', connection, address: '10.0.0.9' });
  return story.say(connection, greeting);
}

/** Three workers run, in generation 1. */
function running(changes: Partial<typeof facts> = {}): void {
  story = new Story({ workersWanted: 3, ...changes });
  for (const connection of [1, 2, 3]) story.join(connection);
  story.align(1, 0, [1, 2, 3]);
}

const refusedWith = (effects: readonly CoordinatorEffect[]): string => {
  const first = effects[0];
  if (first?.do !== 'send' || first.message.type !== 'refused') throw new Error('not refused');
  return first.message.code;
};

describe('a newer generation than the coordinator knows', () => {
  const newer = (workerId: string): MessageOf<'hello'> => hello(workerId, { runId: 'run', generation: 9 });
  /** Taken up again, in generation 7. */
  const again = (...membersBefore: string[]): void => {
    story = new Story({ generation: 7, membersBefore });
  };

  it('says nothing where it comes from another run, or from one that is kept out', () => {
    again('w1');
    const [refused] = greet(1, hello('w1', { runId: 'other', generation: 9 }));
    expect(refused).toMatchObject({
      message: {
        type: 'refused',
        code: 'LOCKSTEP_USAGE',
        message: expect.stringMatching(
          /another run, or the journal of this one was deleted meanwhile; start it anew/,
        ),
      },
    });
    running();
    story.say(1, { type: 'dataRequest' });
    story.say(1, { type: 'dataRequest' });
    expect(refusedWith(greet(7, newer('w1')))).toBe('LOCKSTEP_PROTOCOL');
  });

  it('is denied by the members that are here, however many say so', () => {
    running();
    for (const connection of [7, 8, 9])
      expect(refusedWith(greet(connection, newer(`w${connection}`)))).toBe('LOCKSTEP_CONNECT_FAILED');
    expect(story.machine.phase).toBe('running');
  });

  it('ends a coordinator that another has followed when two say so', () => {
    again('w1', 'w2');
    for (const connection of [1, 3])
      expect(refusedWith(greet(connection, newer('w1')))).toBe('LOCKSTEP_CONNECT_FAILED');
    expect(greet(2, newer('w2')).at(-1)).toMatchObject({
      do: 'fail',
      code: 'LOCKSTEP_GENERATION_OVER',
      message: expect.stringMatching(
        /generation 9, but .* only generation 7: either another coordinator .* or journal\.ndjson was damaged/,
      ),
    });
  });

  it('ends it when the only member there was says so', () => {
    again('w1');
    expect(greet(1, newer('w1')).at(-1)).toMatchObject({ do: 'fail', code: 'LOCKSTEP_GENERATION_OVER' });
  });

  it('does not end it when another says so than the only member there was', () => {
    again('w1');
    expect(refusedWith(greet(2, newer('w2')))).toBe('LOCKSTEP_CONNECT_FAILED');
    expect(story.machine.phase).toBe('gathering');
  });

  it('is nothing where it comes from no run', () => {
    again('w1');
    expect(refusedWith(greet(1, hello('w1', { generation: 9 })))).toBe('LOCKSTEP_PROTOCOL');
  });

  it('is denied by a coordinator that formed generations, also while it has no members', () => {
    running({ workersMin: 3 });
    for (const connection of [1, 2, 3]) story.machine.handle({ is: 'closed', connection, why: 'x' });
    for (const connection of [7, 8])
      expect(refusedWith(greet(connection, newer(`w${connection}`)))).toBe('LOCKSTEP_CONNECT_FAILED');
    expect(story.machine.phase).toBe('paused');
  });

  it('does not end a run that is new, for one alone', () => {
    story = new Story();
    expect(refusedWith(greet(1, newer('w1')))).toBe('LOCKSTEP_CONNECT_FAILED');
  });
});

describe('a member that says twice what is said once', () => {
  beforeEach(() => running());

  it.each<[string, MessageOf<'hello' | 'dataRequest'>]>([
    ['hello', hello('w1')],
    ['asks for the data set', { type: 'dataRequest' }],
  ])('%s: is kept out, and the others go on', (_what, message) => {
    story.say(1, message);
    const second = message.type === 'hello' ? [] : story.say(1, message);
    expect(story.machine.phase).toBe('aligning');
    if (second.length > 0) expect(inShort(second).slice(0, 2)).toEqual(['refused to 1', 'close']);
    expect(inShort(story.align(2, 3, [2, 3]))).toEqual(['aligned', 'align to 2', 'align to 3']);
    expect(refusedWith(greet(4, hello('w1')))).toBe('LOCKSTEP_PROTOCOL');
  });
});

it('a run that is stopped while it pauses says that there is a checkpoint where there is one', () => {
  const stopped = (checkpointStep: number | null): unknown => {
    running({ workersMin: 3, checkpointStep });
    story.machine.handle({ is: 'closed', connection: 3, why: 'x' });
    for (const connection of [1, 2]) story.machine.handle({ is: 'closed', connection, why: 'x' });
    return story.machine.handle({ is: 'stop' }).at(-1);
  };
  expect(stopped(4)).toMatchObject({ message: expect.stringMatching(/; the newest checkpoint stays$/) });
  expect(stopped(null)).toMatchObject({ message: expect.stringMatching(/; there is no checkpoint$/) });
});
