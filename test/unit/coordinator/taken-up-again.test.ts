// Stories of a coordinator: taken up again, with more workers than shards, and with workers that leave while the run pauses
// or aligns. What a worker has, and no checkpoint, is not lost.

import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect, CoordinatorEvent } from '../../../coordinator/effects.ts';
import type { MessageFrom } from '../../../proto/messages.ts';
import { type facts, hello, Story, inShort as sent, sha } from './story.ts';

let story = new Story();
/** Another story begins. */
function begin(changes: Partial<typeof facts> = {}): void {
  story = new Story(changes);
}
beforeEach(() => begin());

const say = (connection: number, message: MessageFrom<'worker'>): CoordinatorEffect[] =>
  story.say(connection, message);
const join = (connection: number, greeting = hello(`w${connection}`)): CoordinatorEffect[] =>
  story.join(connection, greeting);

function standing(connection: number, step: number | null, generation: number): CoordinatorEffect[] {
  return say(connection, { type: 'standing', generation, hasState: step !== null, step: step ?? 0 });
}

function align(step: number | null, connections: readonly number[], generation = 1): CoordinatorEffect[] {
  for (const connection of connections) standing(connection, step, generation);
  return connections.flatMap((connection) => say(connection, { type: 'ready', generation, digest: 0 }));
}

function started(): void {
  for (const connection of [1, 2]) join(connection);
  align(null, [1, 2]);
}

function alignment(effects: readonly CoordinatorEffect[]): unknown {
  for (const effect of effects)
    if (effect.do === 'send' && effect.message.type === 'align') return effect.message;
  throw new Error('no align');
}

describe('a run that is taken up again', () => {
  beforeEach(() => {
    const membersBefore = ['w1', 'w2', 'w3'];
    begin({ workersWanted: 4, generation: 7, membersBefore });
  });
  const back = (connection: number): CoordinatorEffect[] => {
    return join(connection, hello(`w${connection}`, { runId: 'run', generation: 7 }));
  };
  const gone = (by: number, rank: number, generation = 7): CoordinatorEffect[] =>
    say(by, { type: 'suspect', generation, rank, why: 'closed', broken: false });
  const late: CoordinatorEvent = { is: 'timer', timer: { kind: 'gathering' } };

  it('goes on when the members of its newest generation are back', () => {
    expect(sent(back(3))).toEqual(['notice', 'setTimer']);
    expect(sent(back(1))).toEqual(['notice']);
    expect(sent(back(2))).toContain('membership to 3');
    expect(story.machine.handle(late)).toEqual([]);
  });

  it('does not wait for those whom the others have seen go', () => {
    back(1);
    expect(gone(1, 2, 6)).toEqual([]);
    expect(gone(1, 2)).toEqual([]);
    expect(sent(back(2))).toContain('membership to 1');
  });

  it('hears of those that are gone from who was with them, and from nobody else', () => {
    back(1);
    join(4);
    join(5, hello('w5', { runId: 'run', generation: 7 }));
    for (const by of [4, 5]) for (const rank of [1, 2]) expect(gone(by, rank)).toEqual([]);
    expect(story.machine.phase).toBe('gathering');
  });

  it('goes on when the last that is left says who is gone', () => {
    back(1);
    gone(1, 1);
    expect(sent(gone(1, 2))).toContain('membership to 1');
  });

  it('waits for nobody for long, once the first is back', () => {
    expect(story.machine.handle(late)).toEqual([]);
    back(2);
    expect(sent(story.machine.handle(late))).toContain('membership to 2');
  });

  it('takes new workers for those it had, but does not begin without these while they may come', () => {
    for (const connection of [11, 12, 13, 14]) {
      join(connection);
    }
    expect(story.machine.phase).toBe('gathering');
    expect(sent(story.machine.handle(late))).toContain('membership to 14');
  });

  it('keeps a worker that wants to leave until others have its state', () => {
    back(1);
    expect(say(1, { type: 'leave' })).toEqual([]);
    back(2);
    expect(sent(back(3))).toContain('membership to 1');
    expect(sent(align(5, [1, 2, 3], 8)).slice(0, 2)).toEqual(['released to 1', 'journal']);
  });

  it('makes a checkpoint of what came back, where it is to stop', () => {
    back(1);
    expect(sent(story.machine.handle({ is: 'stop' }))).toContain('membership to 1');
    expect(sent(align(5, [1], 8))).toEqual(['start to 1', 'stop to 1']);
  });

  it('stops at once where nothing came back', () => {
    expect(story.machine.handle({ is: 'stop' }).at(-1)).toMatchObject({
      do: 'fail',
      code: 'LOCKSTEP_STOPPED',
    });
  });
});

describe('more workers than shards', () => {
  beforeEach(() => {
    begin({ shards: 2 });
    started();
  });

  it('are spares, and take the place of those that go', () => {
    expect(sent(join(3))).toEqual(['notice']);
    expect(sent(story.machine.handle({ is: 'closed', connection: 1, why: 'broke' })).slice(2)).toEqual([
      'membership to 2',
      'membership to 3',
    ]);
  });

  it('go at once when they want to', () => {
    join(3);
    expect(sent(say(3, { type: 'leave' }))).toEqual(['released to 3']);
  });

  it('never take the place of one that may have the newest state', () => {
    begin({ shards: 2, generation: 7, membersBefore: ['w1', 'w2'] });
    join(4);
    join(1, hello('w1', { runId: 'run', generation: 7 }));
    expect(sent(join(2, hello('w2', { runId: 'run', generation: 7 }))).slice(2)).toEqual([
      'membership to 1',
      'membership to 2',
    ]);
  });
});

describe('what is not in a checkpoint', () => {
  beforeEach(started);

  it('let one leave while they align when the others have its state', () => {
    story.takeIn(3, 1, 1);
    expect(say(1, { type: 'leave' })).toEqual([]);
    standing(1, 6, 2);
    standing(2, 5, 2);
    expect(alignment(standing(3, null, 2))).toMatchObject({ step: 6, source: 0, behind: [1, 2] });
    say(1, { type: 'ready', generation: 2, digest: 0 });
    say(2, { type: 'ready', generation: 2, digest: 0 });
    expect(sent(say(3, { type: 'ready', generation: 2, digest: 0 })).slice(0, 3)).toEqual([
      'released to 1',
      'journal',
      'formed',
    ]);
  });

  it.each([[true], [false]])(
    'keep what one has that leaves while the run pauses (another is there: %s)',
    (another) => {
      begin({ workersMin: 2 });
      started();
      story.machine.handle({ is: 'closed', connection: 2, why: 'broke' });
      expect(story.machine.phase).toBe('paused');
      expect(sent(say(1, { type: 'leave' }))).toEqual(['journal', 'formed', 'membership to 1']);
      if (another) {
        join(3);
        expect(sent(align(6, [1], 2))).toContain('membership to 3');
        standing(1, 6, 3);
        expect(alignment(standing(3, null, 3))).toMatchObject({ step: 6, source: 0, behind: [1] });
        say(1, { type: 'ready', generation: 3, digest: 0 });
        expect(sent(say(3, { type: 'ready', generation: 3, digest: 0 }))).toEqual([
          'released to 1',
          'notice',
        ]);
        expect(story.machine.phase).toBe('paused');
        return;
      }
      expect(sent(align(6, [1], 2))).toEqual(['start to 1', 'stop to 1']);
      const last = { type: 'finished', generation: 2, step: 7, weightsSha256: sha } as const;
      expect(sent(say(1, last))).toEqual([]);
      expect(sent(story.machine.handle({ is: 'checkpointed', step: 7 }))).toEqual([
        'released to 1',
        'notice',
      ]);
    },
  );

  it('keep what is there when the run is to stop while it pauses', () => {
    begin({ workersMin: 2 });
    started();
    story.machine.handle({ is: 'closed', connection: 2, why: 'broke' });
    expect(sent(story.machine.handle({ is: 'stop' }))).toContain('membership to 1');
    expect(sent(align(6, [1], 2))).toEqual(['start to 1', 'stop to 1']);
    const last = { type: 'finished', generation: 2, step: 7, weightsSha256: sha } as const;
    expect(sent(say(1, last))).toEqual(['end']);
  });
});
