// What members say of the steps of their generation is held against the plan and against what they said before. What an honest
// worker may say is heard, also when it is said again; anything else costs it its place.

import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';
import { facts, inShort, report, Story, sha } from './story.ts';

let story = new Story();

/** Two workers, in generation 1 from step 0. */
function running(changes: Partial<typeof facts> = {}): void {
  story = new Story(changes);
  for (const connection of [1, 2]) story.join(connection);
  story.align(1, 0, [1, 2]);
}
beforeEach(() => running());

const part = (connection: 1 | 2, step: number, generation = 1): MessageOf<'evaluation'> => {
  const sums = new Uint8Array(facts.evaluationBatches * (facts.shards / 2) * facts.reports * 4);
  return { type: 'evaluation', generation, step, firstShard: connection === 1 ? 0 : 4, sums };
};
const piece = (step: number, generation = 1): MessageOf<'statePiece'> => ({
  ...{ type: 'statePiece', generation, step, section: 'parameters' },
  ...{ offset: 0, total: 4, bytes: new Uint8Array(4) },
});
const finished = (step: number, changes: Partial<MessageOf<'finished'>> = {}): MessageOf<'finished'> => ({
  ...{ type: 'finished', generation: 1, step, weightsSha256: sha, ...changes },
});
const steps = (last: number, generation = 1, first = 1): void => {
  for (let step = first; step <= last; step += 1) story.say(1, report(generation, step));
};
const whatOf = (effects: readonly CoordinatorEffect[]): string => {
  const [first] = effects;
  const told = first?.do === 'send' && first.message.type === 'refused' ? first.message.message : '';
  const what = /^worker \S+ is kept out of this run: (.*)$/.exec(told)?.[1];
  if (what === undefined) throw new Error(`nobody is kept out: ${inShort(effects).join()}`);
  return what;
};
/** The same with one byte that differs. */
const unlike = <M extends MessageOf<'report' | 'evaluation'>>(message: M): M => {
  const sums = message.sums.slice();
  sums[0] = 1;
  return { ...message, sums };
};

describe('a report', () => {
  it('of one step after another is told, and a second copy says nothing', () => {
    expect(inShort(story.say(1, report(1, 1)))).toEqual(['stepReport']);
    expect(inShort(story.say(1, report(1, 2)))).toEqual(['stepReport']);
    expect(story.say(1, report(1, 1))).toEqual([]);
  });

  it.each<[string, () => MessageFrom<'worker'>, RegExp]>([
    [
      'a step that is not in the plan',
      () => report(1, 4e9),
      /a report of step 4000000000 after step 3 of 10/,
    ],
    ['a step that is not the next', () => report(1, 5), /step 5 after step 3/],
    ['another result for one step', () => unlike(report(1, 2)), /two unlike reports of step 2/],
    ['step 0', () => report(1, 0), /a report of step 0/],
  ])('%s is misconduct', (_what, message, told) => {
    steps(3);
    expect(whatOf(story.say(1, message()))).toMatch(told);
  });

  it('that is long over is a replay', () => {
    running({ endStep: 20, steps: 20, evaluateAfter: () => false });
    steps(12);
    expect(whatOf(story.say(1, report(1, 1)))).toMatch(/a report of step 1 after step 12/);
  });

  it('is for rank 0 to send', () => {
    expect(whatOf(story.say(2, report(1, 1)))).toMatch(/rank 0's/);
  });

  it('of a step that a new membership computes again is none, and is not told again', () => {
    steps(3);
    story.machine.handle({ is: 'closed', connection: 2, why: 'x' });
    story.align(2, 2, [1]);
    expect(story.say(1, report(2, 3))).toEqual([]);
    expect(inShort(story.say(1, report(2, 4)))).toEqual(['stepReport']);
  });

  it('does not come before it is told where to go on', () => {
    story.machine.handle({ is: 'closed', connection: 2, why: 'x' });
    expect(whatOf(story.say(1, report(2, 1)))).toMatch(/a report of step 1/);
  });
});

describe('an evaluation', () => {
  it('of a step that is not due, not in the plan or before the start is misconduct', () => {
    for (const step of [4, 15, 4e9, 0]) {
      running({ evaluateAfter: (each) => each > 0 && each % 5 === 0 });
      expect(whatOf(story.say(2, part(2, step)))).toMatch(`an evaluation of step ${step}, which is not due`);
    }
  });

  it('once more is the same one, also when the others are done; another in its place is misconduct', () => {
    story.say(1, part(1, 5));
    expect(story.say(1, part(1, 5))).toEqual([]);
    expect(inShort(story.say(2, part(2, 5)))).toEqual(['evaluation']);
    expect(story.say(2, part(2, 5))).toEqual([]);
    expect(whatOf(story.say(2, unlike(part(2, 5))))).toMatch(/two unlike evaluations of step 5/);
  });

  it('is not kept in any number: who is that far ahead says what cannot be', () => {
    running({ endStep: 5_000, steps: 5_000, evaluateAfter: (step) => step > 0 });
    for (let step = 1; step <= 1_024; step += 1) expect(story.say(2, part(2, step))).toEqual([]);
    expect(whatOf(story.say(2, part(2, 1_025)))).toMatch(/step 1025, far ahead/);
  });

  it("that waits for a member that sends none is nobody else's fault", () => {
    running({ endStep: 5_000, steps: 5_000, evaluateAfter: (step) => step > 0 });
    for (let step = 1; step <= 1_100; step += 1) {
      story.say(1, report(1, step));
      expect(story.say(2, part(2, step))).toEqual([]);
    }
  });
});

describe('a snapshot', () => {
  it('of a step that was reached goes on', () => {
    steps(3);
    expect(inShort(story.say(1, piece(3)))).toEqual(['statePiece']);
  });

  it.each([4, 4e9, 2])('of step %i, not reached or not due, is misconduct', (step) => {
    steps(3);
    expect(whatOf(story.say(1, piece(step)))).toMatch(
      `a snapshot of step ${step}, where the run is at step 3`,
    );
  });

  it('that is late is heard where it was due', () => {
    running({ checkpointAfter: (step) => step === 2 });
    steps(3);
    expect(inShort(story.say(1, piece(2)))).toEqual(['statePiece']);
  });
});

describe('the end', () => {
  it('is not where the run has no step', () => {
    expect(whatOf(story.say(2, finished(11)))).toMatch(/the end at step 11, where the run ends at step 10/);
  });

  it('is one', () => {
    story.say(2, finished(10));
    expect(story.say(2, finished(10))).toEqual([]);
    expect(whatOf(story.say(2, finished(10, { weightsSha256: 'b'.repeat(64) })))).toMatch(/two unlike ends/);
  });

  it('that all come to early, as one of them told the others to stop, is none', () => {
    steps(3);
    story.say(1, finished(3));
    expect(inShort(story.say(2, finished(3)))).toEqual([
      'journal',
      'formed',
      'membership to 1',
      'membership to 2',
    ]);
  });
});

it.each([
  [5, 'checkpoint', 5],
  [null, 'seed', 0],
])(
  'states behind the end of a run that got shorter are none, and nobody is to blame (checkpoint %s)',
  (checkpointStep, origin, step) => {
    running({ checkpointStep });
    story.machine.handle({ is: 'closed', connection: 2, why: 'x' });
    story.join(3);
    story.align(2, 0, [1]);
    story.takeIn(3, 2, step + 1);
    const aligned = story.align(3, 14, [1, 3]);
    expect(inShort(aligned)).toEqual(expect.arrayContaining(['aligned', 'align to 1', 'align to 3']));
    for (const effect of aligned)
      if (effect.do === 'send')
        expect(effect.message).toMatchObject({ type: 'align', step, origin, behind: [0, 1] });
    expect(story.machine.phase).toBe('running');
  },
);
