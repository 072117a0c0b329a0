// Stories of a coordinator and of one worker that holds the token and means harm: it cannot end the run, nor stall it for all.

import { beforeEach, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';
import { hello, inShort, Story, sha } from './story.ts';

let story = new Story();
beforeEach(() => {
  story = new Story({ workersWanted: 3 });
  for (const connection of [1, 2, 3]) story.join(connection);
  story.align(1, 0, [1, 2, 3]);
});

const accuse = (ranks: number[], generation = 1): MessageOf<'accuse'> => ({
  ...{ type: 'accuse', generation, step: 4, ranks, what: 'a wrong message: x' },
});

/** Says hello from this address. */
function greet(greeting: MessageFrom<'worker'>, address = '10.0.0.1'): CoordinatorEffect[] {
  story.machine.handle({ is: 'connected', connection: 9, address });
  return story.say(9, greeting);
}

const refused = (code: string, message: string | RegExp): object[] => [
  { do: 'send', message: { type: 'refused', code, message: expect.stringMatching(message) } },
  { do: 'close' },
  { do: 'notice' },
];

it('puts nobody out by its name, from elsewhere', () => {
  const twin = hello('w2', { runId: 'run', generation: 1 });
  expect(greet(twin, '10.0.0.66')).toMatchObject(refused('LOCKSTEP_CONNECT_FAILED', /is here already/));
  expect(inShort(greet(twin))).toContain('welcome');
});

it('is heard once however often it suspects another', () => {
  const suspicion = { type: 'suspect', generation: 1, rank: 1, why: 'x', broken: false } as const;
  expect(inShort(story.say(1, suspicion))).toEqual(['notice', 'setTimer']);
  for (let i = 0; i < 3; i += 1) expect(story.say(1, suspicion)).toEqual([]);
  expect(inShort(story.say(1, { ...suspicion, broken: true }))).toEqual(['notice']);
});

it('is left out when it alone cannot reach a second worker, where there are others', () => {
  const suspect = (generation: number, rank: number): string[] => {
    story.say(1, { type: 'suspect', generation, rank, why: 'silent', broken: false });
    return inShort(story.machine.handle({ is: 'timer', timer: { kind: 'evidence', generation } }));
  };
  story.join(4);
  expect(suspect(1, 2)).toEqual([
    'close',
    'journal',
    'formed',
    ...['1', '2', '4'].map((to) => `membership to ${to}`),
  ]);
  story.align(2, 1, [1, 2, 4]);
  expect(suspect(2, 1)).toEqual(['close', 'journal', 'formed', 'membership to 2', 'membership to 4']);
});

it('does not keep the others from going on when it doubts each step: they compute alone, further each time', () => {
  const ends = [1, 3, 5].map((generation) => {
    const [membership] = story
      .say(1, accuse([], generation))
      .flatMap((effect) =>
        effect.do === 'send' && effect.message.type === 'membership' ? effect.message : [],
      );
    const { endStep, alone } = membership!;
    expect(alone).toBe(true);
    expect(story.say(1, accuse([], generation + 1))).toEqual([]); // Nothing comes from another then.
    story.align(generation + 1, 0, [1, 2, 3]);
    const end = { type: 'finished', generation: generation + 1, step: endStep, weightsSha256: sha } as const;
    for (const connection of [1, 2, 3]) story.say(connection, end);
    story.align(generation + 2, endStep, [1, 2, 3]);
    return endStep;
  });
  expect(ends).toEqual([4, 5, 6]);
});

it('heals like any other when it says that it is further than the run goes', () => {
  story.machine.handle({ is: 'closed', connection: 3, why: 'x' });
  story.say(2, { type: 'standing', generation: 2, hasState: true, step: 13 });
  const aligned = story.say(1, { type: 'standing', generation: 2, hasState: true, step: 4 });
  expect(aligned.at(-1)).toMatchObject({ message: { step: 4, source: 0, behind: [1] } });
});

it('is kept out when it alone has other weights at the end, and again when each has computed alone', () => {
  const last = (connection: number, weightsSha256: string, generation: number): CoordinatorEffect[] =>
    story.say(connection, { type: 'finished', generation, step: 10, weightsSha256 });
  last(1, sha, 1);
  last(2, 'b'.repeat(64), 1);
  story.align(2, 0, [1, 2, 3]);
  last(1, sha, 2);
  last(2, 'b'.repeat(64), 2);
  const effects = last(3, sha, 2);
  expect(effects[0]).toMatchObject({
    connection: 2,
    message: { type: 'refused', code: 'LOCKSTEP_PROTOCOL' },
  });
  expect(inShort(effects).slice(1)).toEqual([
    'close',
    'journal',
    'formed',
    'membership to 1',
    'membership to 3',
  ]);
});
