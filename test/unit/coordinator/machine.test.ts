// Stories of a coordinator: who is admitted, when the run starts, how it ends.

import { beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorEffect, CoordinatorEvent } from '../../../coordinator/effects.ts';
import { CoordinatorMachine } from '../../../coordinator/machine.ts';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';
import { digest, facts, hello, sha } from './story.ts';

let machine = new CoordinatorMachine(facts);
beforeEach(() => {
  machine = new CoordinatorMachine(facts);
});

function say(connection: number, message: MessageFrom<'worker'>): CoordinatorEffect[] {
  return machine.handle({ is: 'message', connection, message });
}

/** Each tells its digest before it is finished. */
function end(connection: number, message: MessageOf<'finished'>): CoordinatorEffect[] {
  say(connection, digest(message.generation, message.step));
  return say(connection, message);
}

function join(connection: number, greeting = hello(`w${connection}`)): CoordinatorEffect[] {
  machine.handle({ is: 'connected', connection, address: '10.0.0.1' });
  return say(connection, greeting);
}

function sent(effects: readonly CoordinatorEffect[]): string[] {
  return effects.map((effect) =>
    effect.do === 'send' ? `${effect.message.type} to ${effect.connection}` : effect.do,
  );
}

function standing(connection: number, step: number | null, generation = 1): CoordinatorEffect[] {
  return say(connection, { type: 'standing', generation, hasState: step !== null, step: step ?? 0 });
}

function align(step: number | null, connections: readonly number[], generation = 1): CoordinatorEffect[] {
  for (const connection of connections) standing(connection, step, generation);
  return connections.flatMap((connection) => say(connection, { type: 'ready', generation, digest: 0 }));
}

function started(): void {
  for (const connection of [1, 2]) {
    join(connection);
    say(connection, { type: 'ready', generation: 0, digest: 0 });
  }
  align(null, [1, 2]);
}

const refusal = (effects: readonly CoordinatorEffect[]): string => {
  const first = effects[0];
  if (first?.do !== 'send' || first.message.type !== 'refused') throw new Error('not refused');
  return `${first.message.code}: ${first.message.message}`;
};

describe('admission', () => {
  it('welcomes a worker of the same version and numerics', () => {
    expect(sent(join(1))).toEqual(['welcome']);
  });

  it('names both versions where they differ', () => {
    expect(refusal(join(1, hello('w', { packageVersion: '0.9.0' })))).toBe(
      'LOCKSTEP_VERSION_MISMATCH: this worker is version 0.9.0 (protocol 1), the coordinator 1.0.0 (protocol 1); install the same version on both',
    );
  });

  it('names the kernel that differs', () => {
    join(1);
    const other = hello('w2', {
      fingerprint: 'b'.repeat(64),
      kernelHashes: { adam: 'b'.repeat(64), add: sha },
      backend: 'wasm',
      variant: 'strict',
    });
    expect(refusal(join(2, other))).toBe(
      "LOCKSTEP_FINGERPRINT_MISMATCH: numerics fingerprint of wasm strict differs from the run's native avx2 in adam; give all workers the same --backend",
    );
  });

  it('holds the numerics of the checkpoint against the first worker', () => {
    machine = new CoordinatorMachine({ ...facts, fingerprint: 'c'.repeat(64) });
    expect(refusal(join(1))).toContain('but the checkpoint was made with cccccccccccc');
  });

  it('takes nothing before hello', () => {
    machine.handle({ is: 'connected', connection: 3, address: 'x' });
    expect(refusal(say(3, { type: 'dataRequest' }))).toContain('the first message must be hello');
  });
});

function alignment(effects: readonly CoordinatorEffect[]): unknown {
  for (const effect of effects)
    if (effect.do === 'send' && effect.message.type === 'align') return effect.message;
  throw new Error('no align');
}

describe('the way to the first step', () => {
  it('forms when all have the data, aligns when all have told their standing, starts when all are ready', () => {
    join(1);
    join(2);
    expect(sent(say(1, { type: 'dataRequest' }))).toEqual(['sendData']);
    expect(sent(say(1, { type: 'ready', generation: 0, digest: 0 }))).toEqual(['notice']);
    const formed = say(2, { type: 'ready', generation: 0, digest: 0 });
    expect(sent(formed)).toEqual(['journal', 'formed', 'membership to 1', 'membership to 2']);
    expect(sent(standing(1, null))).toEqual([]);
    const aligned = standing(2, null);
    expect(sent(aligned)).toEqual(['aligned', 'align to 1', 'align to 2']);
    expect(alignment(aligned)).toMatchObject({ step: 0, origin: 'seed', behind: [0, 1], evaluate: false });
    expect(sent(say(1, { type: 'ready', generation: 1, digest: 0 }))).toEqual([]);
    expect(sent(say(2, { type: 'ready', generation: 1, digest: 0 }))).toEqual(['start to 1', 'start to 2']);
  });

  it('sends the checkpoint to those who have no state', () => {
    machine = new CoordinatorMachine({ ...facts, checkpointStep: 4, workersWanted: 1 });
    join(1);
    say(1, { type: 'ready', generation: 0, digest: 0 });
    const effects = standing(1, null);
    expect(sent(effects)).toEqual(['aligned', 'align to 1', 'sendState']);
    expect(alignment(effects)).toMatchObject({ step: 4, origin: 'checkpoint', behind: [0] });
  });

  it('lets a worker go that is not a member yet, and waits for another', () => {
    join(1);
    say(1, { type: 'ready', generation: 0, digest: 0 });
    expect(sent(machine.handle({ is: 'closed', connection: 1, why: 'gone' }))).toEqual(['notice']);
    join(2);
    join(3);
    say(2, { type: 'ready', generation: 0, digest: 0 });
    expect(sent(say(3, { type: 'ready', generation: 0, digest: 0 }))).toContain('membership to 3');
  });
});

describe('changes', () => {
  beforeEach(started);

  it('form a new generation when a member is lost; who is behind heals from who is not', () => {
    join(3);
    say(3, { type: 'ready', generation: 0, digest: 0 });
    expect(sent(machine.handle({ is: 'closed', connection: 1, why: 'broke' }))).toEqual([
      'journal',
      'formed',
      'membership to 2',
      'membership to 3',
    ]);
    standing(2, 7, 2);
    const aligned = standing(3, null, 2);
    expect(alignment(aligned)).toMatchObject({ step: 7, origin: 'member', source: 0, behind: [1] });
  });

  it('owe what the last generation did not come to', () => {
    machine.handle({ is: 'closed', connection: 1, why: 'broke' });
    expect(alignment(standing(2, 5, 2))).toMatchObject({ step: 5, evaluate: true, snapshot: false });
  });

  it('let a worker leave at once where others are there', () => {
    expect(sent(say(2, { type: 'leave' }))).toEqual([
      'released to 2',
      'journal',
      'formed',
      'membership to 1',
    ]);
  });

  it('let the last one hand over a checkpoint first', () => {
    say(2, { type: 'leave' });
    align(3, [1], 2);
    expect(sent(say(1, { type: 'leave' }))).toEqual(['stop to 1']);
    machine.handle({ is: 'snapshotWhole', step: 4 });
    expect(end(1, { type: 'finished', generation: 2, step: 4, weightsSha256: sha })).toEqual([]);
    expect(sent(machine.handle({ is: 'checkpointed', step: 4 }))).toEqual(['released to 1', 'notice']);
    expect(machine.phase).toBe('paused');
  });

  it('do not go on behind a snapshot that is on its way to the disk, only to lose it there', () => {
    machine.handle({ is: 'snapshotWhole', step: 4 });
    machine.handle({ is: 'closed', connection: 1, why: 'broke' });
    expect(standing(2, 3, 2)).toEqual([]);
    expect(alignment(machine.handle({ is: 'checkpointed', step: 4 }))).toMatchObject({
      step: 4,
      origin: 'checkpoint',
      behind: [0],
    });
    expect(machine.handle({ is: 'checkpointed', step: 4 })).toEqual([]);
  });

  it('pause the run with too few, which goes on by itself', () => {
    machine = new CoordinatorMachine({ ...facts, workersMin: 2 });
    started();
    expect(sent(machine.handle({ is: 'closed', connection: 1, why: 'broke' }))).toEqual(['notice']);
    expect(machine.phase).toBe('paused');
    join(3);
    expect(sent(say(3, { type: 'ready', generation: 0, digest: 0 }))).toContain('membership to 2');
  });

  it('let the last one that leaves hand over to one that joins before it has gone', () => {
    say(2, { type: 'leave' });
    align(4, [1], 2);
    expect(sent(say(1, { type: 'leave' }))).toEqual(['stop to 1']);
    join(3);
    expect(sent(say(3, { type: 'ready', generation: 0, digest: 0 })).slice(2)).toEqual([
      'membership to 1',
      'membership to 3',
    ]);
    standing(1, 5, 3);
    const aligned = standing(3, null, 3);
    expect(alignment(aligned)).toMatchObject({ step: 5, origin: 'member', source: 0, behind: [1] });
    say(1, { type: 'ready', generation: 3, digest: 0 });
    const over = sent(say(3, { type: 'ready', generation: 3, digest: 0 }));
    expect(over).toEqual(['released to 1', 'journal', 'formed', 'membership to 3']);
  });

  it('let the last one that leaves while it aligns take a step, and hand over a checkpoint', () => {
    say(2, { type: 'leave' });
    expect(sent(say(1, { type: 'leave' }))).toEqual([]);
    standing(1, 4, 2);
    expect(sent(say(1, { type: 'ready', generation: 2, digest: 0 }))).toEqual(['start to 1', 'stop to 1']);
  });

  it('never forget a newer checkpoint for an older one that was written after it', () => {
    machine.handle({ is: 'checkpointed', step: 8 });
    machine.handle({ is: 'checkpointed', step: 5 });
    machine.handle({ is: 'closed', connection: 2, why: 'killed' });
    expect(alignment(standing(1, 6, 2))).toMatchObject({ step: 8, origin: 'checkpoint', behind: [0] });
  });

  it('leave out whom the others cannot reach, for a while', () => {
    expect(sent(say(1, { type: 'suspect', generation: 1, rank: 1, why: 'timeout', broken: false }))).toEqual([
      'notice',
      'setTimer',
    ]);
    const verdict = machine.handle({ is: 'timer', timer: { kind: 'evidence', generation: 1 } });
    expect(sent(verdict)).toEqual(['close', 'journal', 'formed', 'membership to 1']);
    expect(refusal(join(4, hello('w2')))).toContain('could not reach this one');
    const connection = 5;
    machine.handle({ is: 'connected', connection, address: '10.0.0.1' });
    const later = machine.handle({ is: 'message', connection, message: hello('w2') }, 5_000);
    expect(sent(later)).toEqual(['welcome']);
  });

  it('connect all anew after a first broken connection', () => {
    say(1, { type: 'suspect', generation: 1, rank: 1, why: 'reset', broken: true });
    const verdict = machine.handle({ is: 'timer', timer: { kind: 'evidence', generation: 1 } });
    expect(sent(verdict)).toEqual(['journal', 'formed', 'membership to 1', 'membership to 2']);
  });

  it('drop a suspicion whose generation is over', () => {
    say(1, { type: 'suspect', generation: 1, rank: 1, why: 'x', broken: false });
    machine.handle({ is: 'closed', connection: 2, why: 'x' });
    expect(machine.handle({ is: 'timer', timer: { kind: 'evidence', generation: 1 } })).toEqual([]);
  });

  it('take the newer connection of a worker that comes anew', () => {
    expect(sent(join(3, hello('w2', { runId: 'run', generation: 1 })))).toEqual([
      'close',
      'journal',
      'formed',
      'membership to 1',
      'welcome',
    ]);
  });

  it('tell a step once, though it is computed again', () => {
    const report = (generation: number): MessageOf<'report'> => ({
      type: 'report',
      generation,
      step: 1,
      sums: new Uint8Array(8 * 2 * 4),
      gradientNorm: 0,
      seconds: 0.1,
    });
    expect(sent(say(1, report(1)))).toEqual(['stepReport']);
    machine.handle({ is: 'closed', connection: 2, why: 'x' });
    align(0, [1], 2);
    expect(say(1, report(2))).toEqual([]);
  });

  it('leave a worker out that failed, and end the run with the last one', () => {
    const trouble: MessageOf<'failure'> = {
      type: 'failure',
      code: 'LOCKSTEP_OUT_OF_MEMORY',
      message: 'too small',
      generation: 1,
      step: 0,
      phase: 'aligning',
    };
    expect(sent(say(2, trouble))).toEqual(['close', 'journal', 'formed', 'membership to 1']);
    expect(say(1, { ...trouble, generation: 2 }).at(-1)).toMatchObject({
      do: 'fail',
      code: 'LOCKSTEP_OUT_OF_MEMORY',
    });
  });
});

describe('the end', () => {
  const finished = (weightsSha256: string): MessageOf<'finished'> => ({
    type: 'finished',
    generation: 1,
    step: 10,
    weightsSha256,
  });

  it('comes when all have finished with the same weights', () => {
    started();
    expect(end(1, finished(sha))).toEqual([]);
    expect(end(2, finished(sha))).toEqual([{ do: 'end', step: 10, weightsSha256: sha }]);
  });

  it('is none where weights differ: all go back, and compute alone', () => {
    started();
    end(1, finished(sha));
    expect(end(2, finished('b'.repeat(64))).at(-1)).toMatchObject({
      message: { type: 'membership', generation: 2, endStep: 10, alone: true },
    });
  });

  it('hands the stop to every member', () => {
    started();
    expect(sent(machine.handle({ is: 'stop' }))).toEqual(['stop to 1', 'stop to 2']);
  });

  it('forgets the numerics of a worker that left before the start', () => {
    join(1, hello('w1', { fingerprint: 'b'.repeat(64) }));
    machine.handle({ is: 'closed', connection: 1, why: 'x' });
    expect(sent(join(2))).toEqual(['welcome']);
  });

  it('puts an evaluation together from one part of each member', () => {
    started();
    const part = (firstShard: number): MessageOf<'evaluation'> => ({
      type: 'evaluation',
      generation: 1,
      step: 5,
      firstShard,
      sums: new Uint8Array(3 * 4 * 2 * 4),
    });
    expect(say(2, part(4))).toEqual([]);
    expect(say(2, part(4))).toEqual([]);
    expect(say(1, part(0))).toMatchObject([
      { do: 'evaluation', step: 5, parts: [{ firstShard: 0 }, { firstShard: 4 }] },
    ]);
    expect(sent(say(1, part(4)))).toEqual(['refused to 1', 'close', 'journal', 'formed', 'membership to 2']);
  });

  it.each<[string, MessageFrom<'worker'>]>([
    [
      'a report of a wrong size',
      { type: 'report', generation: 1, step: 1, sums: new Uint8Array(4), gradientNorm: 0, seconds: 1 },
    ],
    [
      "another's shards",
      { type: 'evaluation', generation: 1, step: 5, firstShard: 4, sums: new Uint8Array(3 * 4 * 2 * 4) },
    ],
    [
      'a part of a wrong size',
      { type: 'evaluation', generation: 1, step: 5, firstShard: 0, sums: new Uint8Array(8) },
    ],
  ])('goes on without a worker that sends %s, names it, and keeps it out of the run', (_what, message) => {
    started();
    const effects = say(1, message);
    expect(sent(effects)).toEqual(['refused to 1', 'close', 'journal', 'formed', 'membership to 2']);
    expect(effects[3]).toMatchObject({ reason: expect.stringMatching(/^worker w1 is gone: it sent /) });
    expect(join(3, hello('w1'))).toMatchObject([
      {
        do: 'send',
        message: {
          type: 'refused',
          code: 'LOCKSTEP_PROTOCOL',
          message: expect.stringMatching(/^worker w1 is kept out of this run: it sent /),
        },
      },
      { do: 'close' },
      { do: 'notice' },
    ]);
    expect(sent(join(4, hello('w4')))).toEqual(['welcome']);
  });

  it('keeps a worker out whose bytes were refused', () => {
    started();
    machine.handle({ is: 'closed', connection: 2, why: 'it sent what it must not: x', misconduct: true });
    expect(sent(join(3, hello('w2')))[0]).toBe('refused to 3');
  });

  it('keeps a worker out whose bulk data turned out wrong', () => {
    started();
    const wrong: CoordinatorEvent = { is: 'misconduct', connection: 1, what: 'it sent a wrong snapshot' };
    expect(machine.handle(wrong)[0]).toMatchObject({
      connection: 1,
      message: { type: 'refused', message: 'worker w1 is kept out of this run: it sent a wrong snapshot' },
    });
    expect(sent(join(3, hello('w1')))[0]).toBe('refused to 3');
  });

  it('drops what belongs to another generation', () => {
    started();
    expect(end(1, { ...finished(sha), generation: 0 })).toEqual([]);
    expect(end(2, finished(sha))).toEqual([]);
  });
});
