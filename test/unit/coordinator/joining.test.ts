// Stories of a coordinator whose run goes on while workers join: they are taken in together, when a step was just told, and
// at once when the membership changes anyway.

import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import { inShort, report, Story } from './story.ts';

let story = new Story();
beforeEach(() => {
  story = new Story();
  for (const connection of [1, 2]) story.join(connection);
  story.align(1, 0, [1, 2]);
  expect(story.machine.phase).toBe('running');
});

const due = (kind: 'joining' | 'joinAtLatest', generation = 1): CoordinatorEffect[] =>
  story.machine.handle({ is: 'timer', timer: { kind, generation } });
const closed = (connection: number): CoordinatorEffect[] =>
  story.machine.handle({ is: 'closed', connection, why: 'broke' });
const reasonOf = (effects: readonly CoordinatorEffect[]): string => {
  const formed = effects.find((effect) => effect.do === 'formed');
  if (formed?.do !== 'formed') throw new Error('no membership was formed');
  return formed.reason;
};
/** A membership of these, in rank order. */
const membership = (...connections: number[]): string[] => [
  'journal',
  'formed',
  ...connections.map((connection) => `membership to ${connection}`),
];

describe('workers that join while the run runs', () => {
  it('are taken in together, a moment after the first, when a step was told', () => {
    expect(story.join(3)).toMatchObject([
      { do: 'notice', message: 'worker w3 is ready to be taken in' },
      { do: 'setTimer', timer: { kind: 'joining', generation: 1 }, ms: 250 },
      { do: 'setTimer', timer: { kind: 'joinAtLatest', generation: 1 } },
    ]);
    expect(inShort(story.say(1, report(1, 1)))).toEqual(['stepReport']);
    expect(inShort(story.join(4))).toEqual(['notice']);
    expect(due('joining')).toEqual([]);
    expect(inShort(story.join(5))).toEqual(['notice']);
    const formed = story.say(1, report(1, 2));
    expect(inShort(formed)).toEqual(['stepReport', ...membership(1, 2, 3, 4, 5)]);
    expect(reasonOf(formed)).toBe('worker w3 and w4 and w5 joined');
  });

  it('are not named all where they are many', () => {
    for (const connection of [3, 4, 5, 6, 7]) story.join(connection);
    due('joining');
    expect(reasonOf(story.say(1, report(1, 1)))).toBe('worker w3 and w4 and w5 and 2 more joined');
  });

  it('are taken in by a step that rank 0 tells, and no other', () => {
    story.join(3);
    due('joining');
    expect(story.say(2, { type: 'suspect', generation: 1, rank: 7, why: 'x', broken: false })).toEqual([]);
    expect(inShort(story.say(1, report(1, 1)))).toContain('membership to 3');
  });

  it('are taken in at once when a member is lost or leaves', () => {
    story.join(3);
    expect(inShort(closed(2))).toEqual(membership(1, 3));
    expect(due('joining')).toEqual([]);
    story.align(2, 1, [1, 3]);
    story.join(4);
    expect(inShort(story.say(1, { type: 'leave' }))).toEqual(['released to 1', ...membership(3, 4)]);
  });

  it('heal from the last one that leaves, which waits for no step', () => {
    closed(2);
    story.align(2, 1, [1]);
    story.join(3);
    expect(inShort(story.say(1, { type: 'leave' }))).toEqual(['stop to 1']);
    expect(inShort(story.join(4))).toEqual(membership(1, 3, 4));
  });

  it('are forgotten when they go before', () => {
    story.join(3);
    due('joining');
    expect(inShort(story.say(3, { type: 'leave' }))).toEqual(['released to 3']);
    expect(inShort(story.say(1, report(1, 1)))).toEqual(['stepReport']);
    expect(due('joinAtLatest')).toEqual([]);
    expect(inShort(story.join(4))).toEqual(['notice', 'setTimer', 'setTimer']);
  });

  it('wait for a step no longer than any can last', () => {
    story.join(3);
    due('joining');
    expect(inShort(due('joinAtLatest'))).toEqual(membership(1, 2, 3));
  });

  it('are not taken in behind the last step', () => {
    for (let step = 1; step < 10; step += 1) story.say(1, report(1, step));
    story.join(3);
    due('joining');
    expect(inShort(story.say(1, report(1, 10)))).toEqual(['stepReport']);
  });

  it('are not taken in when the run is to stop', () => {
    story.join(3);
    due('joining');
    story.machine.handle({ is: 'stop' });
    expect(inShort(story.say(1, report(1, 1)))).toEqual(['stepReport']);
    expect(due('joinAtLatest')).toEqual([]);
  });

  it('are spares where every shard has its worker', () => {
    for (let connection = 3; connection <= 8; connection += 1) story.join(connection);
    due('joining');
    expect(inShort(story.say(1, report(1, 1)))).toContain('membership to 8');
    expect(inShort(story.join(9))).toEqual(['notice']);
    expect(due('joinAtLatest', 2)).toEqual([]);
  });
});

describe('workers that join while a membership forms', () => {
  beforeEach(() => {
    expect(inShort(story.takeIn(3, 1, 1))).toContain('membership to 3');
    story.join(4);
  });

  it('let it form, and take a step', () => {
    expect(due('joining', 2)).toEqual([]);
    story.align(2, 1, [1, 2, 3]);
    expect(story.machine.phase).toBe('running');
    story.join(5);
    expect(inShort(story.say(1, report(2, 2)))).toEqual(['stepReport', ...membership(1, 2, 3, 4, 5)]);
  });

  it('are in the next when it fails', () => {
    expect(inShort(closed(1))).toEqual(membership(2, 3, 4));
  });

  it('do not wait for ever', () => {
    expect(inShort(due('joinAtLatest', 2))).toEqual(membership(1, 2, 3, 4));
  });

  it('are not hurried by a timer of a generation before', () => {
    expect(due('joinAtLatest', 1)).toEqual([]);
    expect(due('joining', 1)).toEqual([]);
    story.align(2, 1, [1, 2, 3]);
    expect(inShort(story.say(1, report(2, 2)))).toEqual(['stepReport']);
  });

  it('never keep the run from going on, however many come', () => {
    let generation = 2;
    const members = [1, 2, 3];
    for (let step = 1; step < 5; step += 1) {
      due('joining', generation);
      story.align(generation, step, members);
      members.push(members.length + 1);
      expect(inShort(story.say(1, report(generation, step + 1)))).toEqual([
        'stepReport',
        ...membership(...members),
      ]);
      generation += 1;
      story.join(members.length + 1);
    }
  });
});

it('a run that pauses takes a worker in at once', () => {
  story = new Story({ workersMin: 2 });
  for (const connection of [1, 2]) story.join(connection);
  story.align(1, 0, [1, 2]);
  closed(2);
  expect(inShort(story.join(3))).toEqual(membership(1, 3));
});

it('the last one that leaves while it aligns hands over to who came meanwhile', () => {
  closed(2);
  expect(inShort(story.say(1, { type: 'leave' }))).toEqual([]);
  story.join(3);
  story.say(1, { type: 'standing', generation: 2, hasState: true, step: 3 });
  expect(inShort(story.say(1, { type: 'ready', generation: 2, digest: 0 }))).toEqual(membership(1, 3));
});
