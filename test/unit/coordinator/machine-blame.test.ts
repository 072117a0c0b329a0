// Stories of a coordinator and of members that are to blame, or not.

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import type { MessageOf } from '../../../proto/messages.ts';
import { hello, inShort, Story } from './story.ts';

let story = new Story();
beforeEach(() => {
  story = new Story({ workersWanted: 3 });
  for (const connection of [1, 2, 3]) story.join(connection);
  story.align(1, 0, [1, 2, 3]);
});

const accuse = (ranks: number[], generation = 1): MessageOf<'accuse'> => ({
  ...{ type: 'accuse', generation, step: 4, ranks, what: 'a wrong message: x' },
});
const notFinite = (step: number, generation = 1): MessageOf<'failure'> => ({
  ...{ type: 'failure', code: 'LOCKSTEP_NOT_FINITE', message: 'bad', generation, step, phase: 'updating' },
});
const alignOf = (effects: readonly CoordinatorEffect[]): MessageOf<'align'> => {
  const sent = effects.find((effect) => effect.do === 'send' && effect.message.type === 'align');
  if (sent?.do !== 'send' || sent.message.type !== 'align') throw new Error('nobody is aligned');
  return sent.message;
};

describe('an accusation', () => {
  it('turns the accused out, and keeps it out', () => {
    expect(inShort(story.say(1, accuse([2])))).toEqual([
      'setTimer',
      'quarantine',
      'close',
      'journal',
      'formed',
      'membership to 1',
      'membership to 2',
    ]);
    story.machine.handle({ is: 'connected', connection: 4, address: '10.0.0.1' });
    expect(inShort(story.say(4, hello('w3')))[0]).toBe('refused to 4');
  });

  it('of oneself, of nobody there is and of another generation says nothing about a worker', () => {
    expect(inShort(story.say(1, accuse([0, 7])))).not.toContain('close');
    expect(story.say(1, accuse([2], 7))).toEqual([]);
  });

  it('of nobody has the step looked at; where that shows nothing, it is the model', () => {
    expect(inShort(story.say(1, accuse([])))).toContain('membership to 3');
    expect(alignOf(story.align(2, 3, [1, 2, 3]))).toMatchObject({ step: 3, verify: true });
    const failed = story.say(2, accuse([], 2));
    expect(inShort(failed)).toEqual(['failure to 1', 'failure to 2', 'failure to 3', 'fail']);
    expect(failed.at(-1)).toMatchObject({
      code: 'LOCKSTEP_NOT_FINITE',
      message: expect.stringContaining('step 4'),
    });
  });

  it('of nobody, by the same worker again, costs that one its place: it does not end the run', () => {
    story.say(3, accuse([]));
    story.align(2, 4, [1, 2, 3]);
    expect(inShort(story.say(3, { ...accuse([], 2), step: 5 }))).toEqual([
      'setTimer',
      'close',
      'journal',
      'formed',
      'membership to 1',
      'membership to 2',
    ]);
  });

  it('of nobody, time and again, is not heard for long', () => {
    story.say(3, accuse([]));
    story.align(2, 8, [1, 2, 3]);
    expect(inShort(story.say(3, { ...accuse([], 2), step: 20 }))).toContain('close');
  });

  it('is not looked into for other steps', () => {
    story.say(1, accuse([]));
    expect(alignOf(story.align(2, 5, [1, 2, 3]))).toMatchObject({ step: 5, verify: false });
  });
});

describe('a worker that says the model has gone bad', () => {
  const withoutTheFirst = ['journal', 'formed', 'membership to 2', 'membership to 3'];

  it('ends the run where all others say so too: everybody with the same error', () => {
    expect(story.say(1, notFinite(4))).toEqual([]);
    expect(story.say(3, notFinite(4))).toEqual([]);
    const failed = story.say(2, notFinite(4));
    expect(inShort(failed)).toEqual(['failure to 1', 'failure to 2', 'failure to 3', 'fail']);
    expect(failed[1]).toMatchObject({
      message: { code: 'LOCKSTEP_NOT_FINITE', message: 'bad', step: 4, phase: 'updating' },
    });
  });

  it('is left out where the others wait for it, and the step computed without it', () => {
    story.say(1, notFinite(4));
    story.say(2, { type: 'suspect', generation: 1, rank: 0, why: 'overdue', broken: false });
    const verdict = story.machine.handle({ is: 'timer', timer: { kind: 'suspicion', generation: 1 } });
    expect(inShort(verdict)).toEqual(withoutTheFirst);
    story.align(2, 3, [2, 3]);
    expect(story.say(2, notFinite(4, 2))).toEqual([]);
    const failed = story.say(3, notFinite(4, 2));
    expect(inShort(failed)).toEqual(['failure to 1', 'failure to 2', 'failure to 3', 'fail']);
  });

  it('is left out where the others have come to the end of their steps', () => {
    const sha = { weightsSha256: 'a'.repeat(64) };
    const finished = { type: 'finished', generation: 1, step: 10, ...sha } as const;
    story.say(1, notFinite(10));
    expect(story.say(2, finished)).toEqual([]);
    expect(inShort(story.say(3, finished))).toEqual(withoutTheFirst);
  });

  it('is not in the next membership, whatever that is formed for, and goes when it is refuted', () => {
    story.say(1, notFinite(4));
    expect(inShort(story.machine.handle({ is: 'closed', connection: 3, why: 'killed' }))).toEqual([
      'journal',
      'formed',
      'membership to 2',
    ]);
    expect(inShort(story.machine.handle({ is: 'snapshotWhole', step: 4 }))).toEqual(['close', 'notice']);
  });

  it('ends the run where another said so before it was lost', () => {
    story.say(1, notFinite(4));
    story.say(2, notFinite(4));
    const over = story.machine.handle({ is: 'closed', connection: 3, why: 'killed' });
    expect(inShort(over)).toEqual(['failure to 1', 'failure to 2', 'fail']);
  });

  it('ends the run with one line, that of rank 0, in whichever order all say so', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.infiniteStream(fc.nat()), (members, draws) => {
        const run = new Story({ workersWanted: members });
        const connections = Array.from({ length: members }, (_, i) => i + 1);
        for (const connection of connections) run.join(connection);
        run.align(1, 3, connections);
        const waiting = [...connections];
        let effects: CoordinatorEffect[] = [];
        while (waiting.length > 0) {
          expect(run.machine.phase).toBe('running');
          const [by] = waiting.splice(draws.next().value % waiting.length, 1);
          effects = run.say(by!, { ...notFinite(4), message: `as w${by} says` });
        }
        expect(effects.at(-1)).toMatchObject({
          do: 'fail',
          code: 'LOCKSTEP_NOT_FINITE',
          message: 'as w1 says',
        });
      }),
    );
  });

  it('is heard though its process ends: that is no news', () => {
    story.say(1, notFinite(4));
    story.say(3, notFinite(4));
    story.say(2, notFinite(4));
    expect(story.machine.handle({ is: 'processEnded', message: 'exit code 1' })).toEqual([]);
  });
});

it('a run that the last worker cannot go on with ends with its name, its step and what it was at', () => {
  const stuck = { ...notFinite(6), code: 'LOCKSTEP_LANES_STUCK', message: 'stuck', phase: 'segments' };
  story.say(1, stuck);
  story.say(2, { ...stuck, generation: 2 });
  expect(story.say(3, { ...stuck, generation: 3 }).at(-1)).toEqual({
    do: 'fail',
    code: 'LOCKSTEP_LANES_STUCK',
    message: 'worker w3 failed in step 6, segments: stuck',
  });
});

describe('a process that ends by itself', () => {
  const ended = { is: 'processEnded', message: 'worker process 1 ended with exit code 1' } as const;

  it('ends the run with what it told before', () => {
    const trouble = {
      ...notFinite(6),
      code: 'LOCKSTEP_OUT_OF_MEMORY',
      message: 'too small',
      phase: 'aligning',
    };
    story.say(1, trouble);
    expect(story.machine.handle(ended).at(-1)).toEqual({
      do: 'fail',
      code: 'LOCKSTEP_OUT_OF_MEMORY',
      message: 'worker w1 failed in step 6, aligning: too small',
    });
  });

  it('ends the run with its exit code where it told nothing', () => {
    const { message } = ended;
    expect(story.machine.handle(ended).at(-1)).toEqual({
      do: 'fail',
      code: 'LOCKSTEP_WORKER_FAILED',
      message,
    });
  });
});

describe('a membership that does not form in time', () => {
  const late = (generation: number): string[] =>
    inShort(story.machine.handle({ is: 'timer', timer: { kind: 'forming', generation } }));

  beforeEach(() => {
    story.machine.handle({ is: 'closed', connection: 3, why: 'x' });
  });

  it('goes on without those who do not answer', () => {
    story.say(1, { type: 'standing', generation: 2, hasState: false, step: 0 });
    expect(late(2)).toEqual(['setTimer', 'close', 'journal', 'formed', 'membership to 1']);
    story.machine.handle({ is: 'connected', connection: 4, address: '10.0.0.1' });
    expect(inShort(story.say(4, hello('w2')))[0]).toBe('refused to 4');
  });

  it('goes on without those who do not become ready', () => {
    for (const connection of [1, 2])
      story.say(connection, { type: 'standing', generation: 2, hasState: false, step: 0 });
    story.say(2, { type: 'ready', generation: 2 });
    expect(late(2)).toEqual(['setTimer', 'close', 'journal', 'formed', 'membership to 2']);
  });

  it('goes on without who is late again, for longer each time, and not for good: the source may be slow', () => {
    for (const [generation, ms] of [
      [2, 300_000],
      [4, 600_000],
      [6, 1_200_000],
      [8, 2_400_000],
      [10, 3_600_000],
      [12, 3_600_000],
    ] as const) {
      for (const connection of [1, 2])
        story.say(connection, { type: 'standing', generation, hasState: connection === 1, step: 1 });
      story.say(1, { type: 'ready', generation });
      const verdict = story.machine.handle({ is: 'timer', timer: { kind: 'forming', generation } });
      expect(inShort(verdict)).toEqual(['setTimer', 'close', 'journal', 'formed', 'membership to 1']);
      expect(verdict[0]).toMatchObject({ timer: { kind: 'exclusion', workerId: 'w2' }, ms });
      story.align(generation + 1, 1, [1]);
      story.machine.handle({ is: 'timer', timer: { kind: 'exclusion', workerId: 'w2' } });
      expect(inShort(story.takeIn(2, generation + 1, 2))).toContain('membership to 2');
    }
  });

  it('waits on where nobody is further than another, and looks again', () => {
    expect(late(2)).toEqual(['notice', 'setTimer']);
    expect(late(2)).toEqual(['notice', 'setTimer']);
    story.align(2, 0, [1, 2]);
    expect(late(2)).toEqual([]);
    expect(late(1)).toEqual([]);
  });

  /** Of three, w1 has the state that w2 heals from; w3 has it too. */
  function healing(): void {
    story.takeIn(3, 2, 1);
    for (const [connection, step] of [1, 0, 1].entries())
      story.say(connection + 1, { type: 'standing', generation: 3, hasState: step > 0, step });
  }

  it('keeps who has the newest state, and goes on without who does not heal from it', () => {
    story.align(2, 0, [1, 2]);
    healing();
    story.say(3, { type: 'ready', generation: 3 });
    expect(late(3).slice(-3)).toEqual(['formed', 'membership to 1', 'membership to 3']);
  });

  it('does so, where all are late, when they have had the time twice', () => {
    story.align(2, 0, [1, 2]);
    healing();
    expect(late(3)).toEqual(['notice', 'setTimer']);
    expect(late(3).slice(-3)).toEqual(['formed', 'membership to 1', 'membership to 3']);
  });
});

describe('one word against another', () => {
  const suspect = (by: number, rank: number, generation: number, broken = false): CoordinatorEffect[] => [
    ...story.say(by, { type: 'suspect', generation, rank, why: 'no answer', broken }),
    ...story.machine.handle({ is: 'timer', timer: { kind: 'suspicion', generation } }),
  ];
  /** w4 comes as well: generation 2. */
  beforeEach(() => {
    story.takeIn(4, 1, 1);
    story.align(2, 1, [1, 2, 3, 4]);
  });

  it('is believed once; who alone suspects one after another is left out itself', () => {
    expect(inShort(suspect(1, 3, 2)).slice(-3)).toEqual([
      'membership to 1',
      'membership to 2',
      'membership to 3',
    ]);
    story.align(3, 1, [1, 2, 3]);
    const verdict = suspect(1, 2, 3);
    expect(inShort(verdict).slice(-3)).toEqual(['formed', 'membership to 2', 'membership to 3']);
    expect(verdict.find((effect) => effect.do === 'formed')).toMatchObject({
      reason: expect.stringContaining('worker w1 is gone: it alone cannot go on with one after another'),
    });
  });

  it('is not one word where the other says so too, or more than one does', () => {
    suspect(1, 3, 2);
    story.align(3, 1, [1, 2, 3]);
    story.say(3, { type: 'suspect', generation: 3, rank: 0, why: 'x', broken: false });
    expect(inShort(suspect(1, 2, 3)).slice(-2)).toEqual(['membership to 1', 'membership to 2']);
  });

  it('is not heard again in the same generation', () => {
    expect(
      inShort(story.say(1, { type: 'suspect', generation: 2, rank: 1, why: 'x', broken: false })),
    ).toEqual(['notice', 'setTimer']);
    for (let times = 0; times < 3; times += 1)
      expect(story.say(1, { type: 'suspect', generation: 2, rank: 1, why: 'x', broken: false })).toEqual([]);
  });

  it('keeps one out for good; who alone accuses one after another is left out itself, for a while', () => {
    expect(inShort(story.say(1, accuse([3], 2)))).toContain('quarantine');
    story.align(3, 3, [1, 2, 3]);
    const verdict = story.say(1, accuse([2], 3));
    expect(inShort(verdict)).toEqual([
      'setTimer',
      'setTimer',
      'close',
      'journal',
      'formed',
      'membership to 2',
      'membership to 3',
    ]);
    expect(alignOf(story.align(4, 3, [2, 3]))).toMatchObject({ verify: true });
  });

  it('is none where another says so as well, though too late', () => {
    story.say(1, accuse([3], 2));
    expect(story.say(2, accuse([3], 2))).toEqual([]);
    story.align(3, 3, [1, 2, 3]);
    expect(inShort(story.say(1, accuse([2], 3)))).toContain('quarantine');
  });

  /** What was set for later about complaints, comes. */
  const forget = (effects: readonly CoordinatorEffect[]): void => {
    for (const effect of effects)
      if (effect.do === 'setTimer' && effect.timer.kind === 'complaint')
        expect(story.machine.handle({ is: 'timer', timer: effect.timer })).toEqual([]);
  };

  it('is worth something again after a while, also where the other is kept out or stayed', () => {
    forget(story.say(1, accuse([3], 2)));
    story.align(3, 3, [1, 2, 3]);
    expect(inShort(story.say(1, accuse([2], 3)))).toContain('quarantine');
  });

  it('is forgotten of one that stayed, as the one who said it was not believed', () => {
    const first = story.say(1, accuse([3], 2));
    story.align(3, 3, [1, 2, 3]);
    const second = story.say(1, accuse([2], 3));
    expect(inShort(second)).not.toContain('quarantine');
    for (const effects of [first, second]) forget(effects);
    story.align(4, 3, [2, 3]);
    story.machine.handle({ is: 'timer', timer: { kind: 'exclusion', workerId: 'w1' } });
    story.join(1);
    story.machine.handle({ is: 'timer', timer: { kind: 'joinAtLatest', generation: 4 } });
    expect(inShort(story.say(1, accuse([0], 5)))).toContain('quarantine');
  });

  it('while a membership forms does not put a doubt of a step out of mind', () => {
    story.say(2, accuse([], 2));
    story.say(1, { ...accuse([3], 3), step: 0 });
    expect(alignOf(story.align(4, 3, [1, 2, 3]))).toMatchObject({ step: 3, verify: true });
  });

  it('while a membership forms is nothing where it is about nobody there', () => {
    story.say(2, accuse([], 2));
    expect(story.say(1, { ...accuse([0, 9], 3), step: 0 })).toEqual([]);
    expect(alignOf(story.align(3, 3, [1, 2, 3, 4]))).toMatchObject({ verify: true });
  });

  it('names one at a time', () => {
    expect(inShort(story.say(1, accuse([1, 2, 3], 2))).filter((each) => each === 'quarantine')).toEqual([
      'quarantine',
    ]);
  });

  it('stands between two: nobody else can tell', () => {
    story.say(1, accuse([3], 2));
    story.machine.handle({ is: 'closed', connection: 3, why: 'x' });
    story.align(4, 3, [1, 2]);
    expect(inShort(story.say(1, accuse([1], 4)))).toContain('quarantine');
  });
});
