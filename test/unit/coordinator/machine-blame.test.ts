// Stories of a coordinator and of members that are to blame, or not.

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import type { MessageOf } from '../../../proto/messages.ts';
import { hello, inShort, report, Story } from './story.ts';

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
  const decide = (generation = 1): CoordinatorEffect[] =>
    story.machine.handle({ is: 'timer', timer: { kind: 'evidence', generation } });

  it('by most of the others turns the accused out, and says so', () => {
    expect(inShort(story.say(1, accuse([2])))).toEqual(['setTimer']);
    expect(story.say(2, accuse([2]))).toEqual([]);
    expect(inShort(decide())).toEqual([
      'refused to 3',
      'close',
      'journal',
      'formed',
      'membership to 1',
      'membership to 2',
    ]);
    story.machine.handle({ is: 'connected', connection: 4, address: '10.0.0.1' });
    expect(inShort(story.say(4, hello('w3')))[0]).toBe('refused to 4');
  });

  it('of oneself, of nobody there and of another generation says nothing', () => {
    expect(story.say(1, accuse([0, 7]))).toEqual([]);
    expect(story.say(1, accuse([2], 7))).toEqual([]);
  });

  it.each([
    ['by one alone', [2]],
    ['by one alone of all others', [1, 2]],
  ])('%s turns nobody out: all compute the step, each alone', (_what, ranks) => {
    story.say(1, accuse(ranks));
    const effects = decide();
    expect(inShort(effects)).toEqual(['journal', 'formed', ...[1, 2, 3].map((to) => `membership to ${to}`)]);
    expect(effects.at(-1)).toMatchObject({ message: { alone: true, endStep: 4 } });
    expect(effects[1]).toMatchObject({
      reason: expect.stringMatching(
        /^worker w1 got from worker w[23] a wrong message: x: all go back to the newest/,
      ),
    });
  });

  it('of nobody has all compute the step at once, each alone, and what comes in the next one looked at', () => {
    expect(story.say(1, accuse([])).at(-1)).toMatchObject({ message: { alone: true, endStep: 4 } });
    story.align(2, 3, [1, 2, 3]);
    const end = { type: 'finished', generation: 2, step: 4, weightsSha256: 'a'.repeat(64) } as const;
    for (const connection of [1, 2, 3]) story.say(connection, end);
    expect(alignOf(story.align(3, 4, [1, 2, 3]))).toMatchObject({ step: 4, verify: true });
    story.machine.handle({ is: 'closed', connection: 3, why: 'x' });
    expect(alignOf(story.align(4, 6, [1, 2]))).toMatchObject({ step: 6, verify: false });
  });

  it('of a step beyond the end has all compute up to the end, and no further', () => {
    const effects = story.say(1, { ...accuse([]), step: 4_000_000_000 });
    expect(effects.at(-1)).toMatchObject({ message: { alone: true, endStep: 10 } });
  });

  it('where each computes alone says nothing, nor does a suspicion: nothing came from another', () => {
    story.say(1, accuse([]));
    story.align(2, 3, [1, 2, 3]);
    expect(story.say(1, accuse([1], 2))).toEqual([]);
    expect(story.say(1, accuse([], 2))).toEqual([]);
    expect(story.say(1, { type: 'suspect', generation: 2, rank: 1, why: 'x', broken: false })).toEqual([]);
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
    const verdict = story.machine.handle({ is: 'timer', timer: { kind: 'evidence', generation: 1 } });
    expect(inShort(verdict)).toEqual(withoutTheFirst);
    story.align(2, 3, [2, 3]);
    expect(story.say(2, notFinite(4, 2))).toEqual([]);
    const failed = story.say(3, notFinite(4, 2));
    expect(inShort(failed)).toEqual(['failure to 1', 'failure to 2', 'failure to 3', 'fail']);
  });

  it.each([0, 1, 2])(
    'is left out where the others end their steps, %i of them before its claim',
    (before) => {
      const sha = { weightsSha256: 'a'.repeat(64) };
      const finished = { type: 'finished', generation: 1, step: 10, ...sha } as const;
      const words: (() => CoordinatorEffect[])[] = [2, 3].map((worker) => () => story.say(worker, finished));
      words.splice(before, 0, () => story.say(1, notFinite(10)));
      const [first, second, last] = words.map((say) => say());
      expect([first, second]).toEqual([[], []]);
      expect(inShort(last!)).toEqual(withoutTheFirst);
    },
  );

  it('ends the run where all others are lost: nobody is left who could compute the step', () => {
    story.say(1, notFinite(4));
    story.machine.handle({ is: 'closed', connection: 3, why: 'killed' });
    const over = story.machine.handle({ is: 'closed', connection: 2, why: 'killed' });
    expect(over).toContainEqual(expect.objectContaining({ do: 'fail', code: 'LOCKSTEP_NOT_FINITE' }));
  });

  it('is not in the next membership, whatever that is formed for, and goes when it is refuted', () => {
    story.say(1, notFinite(4));
    expect(inShort(story.machine.handle({ is: 'closed', connection: 3, why: 'killed' }))).toEqual([
      'journal',
      'formed',
      'membership to 2',
    ]);
    const refuted = story.machine.handle({ is: 'snapshotWhole', step: 4 });
    expect(inShort(refuted)).toEqual(['released to 1', 'notice']);
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
    expect(late(2)).toEqual(['close', 'journal', 'formed', 'membership to 1']);
    story.machine.handle({ is: 'connected', connection: 4, address: '10.0.0.1' });
    expect(inShort(story.say(4, hello('w2')))[0]).toBe('refused to 4');
  });

  it('goes on without those who do not become ready', () => {
    for (const connection of [1, 2])
      story.say(connection, { type: 'standing', generation: 2, hasState: false, step: 0 });
    story.say(2, { type: 'ready', generation: 2, digest: 0 });
    expect(late(2)).toEqual(['close', 'journal', 'formed', 'membership to 2']);
  });

  it('goes on without who is late again, for longer each time, and not for good: the source may be slow', () => {
    let nowMs = 0;
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
      story.say(1, { type: 'ready', generation, digest: 0 });
      const verdict = story.machine.handle({ is: 'timer', timer: { kind: 'forming', generation } }, nowMs);
      expect(inShort(verdict)).toEqual(['close', 'journal', 'formed', 'membership to 1']);
      story.align(generation + 1, 1, [1]);
      const comes = (atMs: number): string[] => {
        story.machine.handle({ is: 'connected', connection: 2, address: '10.0.0.1' });
        return inShort(story.machine.handle({ is: 'message', connection: 2, message: hello('w2') }, atMs));
      };
      expect(comes(nowMs + ms - 1)[0]).toBe('refused to 2');
      nowMs += ms;
      expect(comes(nowMs)).toEqual(['welcome']);
      story.say(2, { type: 'ready', generation: 0, digest: 0 });
      story.machine.handle({ is: 'timer', timer: { kind: 'joining', generation: generation + 1 } });
      expect(inShort(story.say(1, report(generation + 1, 2)))).toContain('membership to 2');
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
    story.say(3, { type: 'ready', generation: 3, digest: 0 });
    expect(late(3).slice(-3)).toEqual(['formed', 'membership to 1', 'membership to 3']);
  });

  it('does so, where all are late, when they have had the time twice', () => {
    story.align(2, 0, [1, 2]);
    healing();
    expect(late(3)).toEqual(['notice', 'setTimer']);
    expect(late(3).slice(-3)).toEqual(['formed', 'membership to 1', 'membership to 3']);
  });
});
