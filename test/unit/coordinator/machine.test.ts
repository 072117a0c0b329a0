// Stories of a coordinator: who is admitted, when the run starts, how it ends.

import { beforeEach, describe, expect, it } from 'vitest';
import { type CoordinatorEffect, CoordinatorMachine, type RunFacts } from '../../../coordinator/machine.ts';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';

const facts: RunFacts = {
  runId: 'run',
  workersWanted: 2,
  shards: 8,
  reports: 2,
  evaluationBatches: 3,
  packageVersion: '1.0.0',
  protocolVersion: 1,
  startStep: 0,
  endStep: 10,
  fingerprint: null,
};
const sha = 'a'.repeat(64);

function hello(workerId: string, changes: Partial<MessageOf<'hello'>> = {}): MessageOf<'hello'> {
  return {
    type: 'hello',
    protocolVersion: 1,
    packageVersion: '1.0.0',
    fingerprint: sha,
    kernelHashes: { adam: sha, add: sha },
    backend: 'native',
    variant: 'avx2',
    threads: 2,
    workerId,
    peerHost: '',
    peerPort: 7000,
    ...changes,
  };
}

let machine = new CoordinatorMachine(facts);
beforeEach(() => {
  machine = new CoordinatorMachine(facts);
});

function say(connection: number, message: MessageFrom<'worker'>): CoordinatorEffect[] {
  return machine.handle({ is: 'message', connection, message });
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

function started(): void {
  for (const connection of [1, 2]) {
    join(connection);
    say(connection, { type: 'ready', generation: 0 });
  }
  for (const connection of [1, 2]) say(connection, { type: 'ready', generation: 1 });
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

  it('takes no second worker of one name, and nothing before hello', () => {
    join(1);
    expect(refusal(join(2, hello('w1')))).toContain('a worker named w1 is here already');
    machine.handle({ is: 'connected', connection: 3, address: 'x' });
    expect(refusal(say(3, { type: 'dataRequest' }))).toContain('the first message must be hello');
  });

  it('takes no more workers once the run has its own', () => {
    started();
    expect(refusal(join(3))).toContain('takes no more');
  });
});

describe('the way to the first step', () => {
  it('forms when all have the data, starts when all are ready', () => {
    join(1);
    join(2);
    expect(sent(say(1, { type: 'dataRequest' }))).toEqual(['sendData']);
    expect(sent(say(1, { type: 'ready', generation: 0 }))).toEqual(['notice']);
    const formed = say(2, { type: 'ready', generation: 0 });
    expect(sent(formed)).toEqual(['formed', 'membership to 1', 'membership to 2']);
    const membership = formed[1];
    if (membership?.do !== 'send' || membership.message.type !== 'membership')
      throw new Error('no membership');
    expect(membership.message.members.map(({ firstShard, endShard }) => [firstShard, endShard])).toEqual([
      [0, 4],
      [4, 8],
    ]);
    expect(sent(say(1, { type: 'ready', generation: 1 }))).toEqual([]);
    expect(sent(say(2, { type: 'ready', generation: 1 }))).toEqual(['started', 'start to 1', 'start to 2']);
  });

  it('sends the state where a checkpoint is gone on from', () => {
    machine = new CoordinatorMachine({ ...facts, startStep: 4, workersWanted: 1 });
    join(1);
    expect(sent(say(1, { type: 'ready', generation: 0 }))).toEqual([
      'formed',
      'membership to 1',
      'sendState',
    ]);
  });

  it('lets a worker go that is not a member yet, and waits for another', () => {
    join(1);
    say(1, { type: 'ready', generation: 0 });
    expect(sent(machine.handle({ is: 'closed', connection: 1, why: 'gone' }))).toEqual(['notice']);
    join(2);
    join(3);
    say(2, { type: 'ready', generation: 0 });
    expect(sent(say(3, { type: 'ready', generation: 0 }))).toContain('membership to 3');
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
    expect(say(1, finished(sha))).toEqual([]);
    expect(say(2, finished(sha))).toEqual([{ do: 'end', step: 10, weightsSha256: sha }]);
  });

  it('is a failure where weights differ', () => {
    started();
    say(1, finished(sha));
    expect(say(2, finished('b'.repeat(64))).at(-1)).toMatchObject({
      do: 'fail',
      code: 'LOCKSTEP_WEIGHTS_DIFFER',
    });
  });

  it('comes for all when one is lost, and each is told once', () => {
    started();
    const effects = machine.handle({ is: 'closed', connection: 2, why: 'the connection broke' });
    expect(sent(effects)).toEqual(['failure to 1', 'fail']);
    expect(effects.at(-1)).toMatchObject({
      code: 'LOCKSTEP_PEER_LOST',
      message: 'worker w2 is gone: the connection broke',
    });
    expect(machine.handle({ is: 'closed', connection: 1, why: 'x' })).toEqual([]);
  });

  it('hands the stop to every member', () => {
    started();
    expect(sent(machine.handle({ is: 'stop' }))).toEqual(['stop to 1', 'stop to 2']);
  });

  it('refuses surplus workers when the membership is formed, and lets their troubles be theirs', () => {
    for (const connection of [1, 2, 3]) join(connection);
    say(1, { type: 'ready', generation: 0 });
    const formed = say(2, { type: 'ready', generation: 0 });
    expect(sent(formed)).toContain('refused to 3');
    const trouble: MessageOf<'failure'> = {
      type: 'failure',
      code: 'LOCKSTEP_OUT_OF_MEMORY',
      message: 'too small',
      generation: 0,
      step: 0,
      phase: 'loading',
    };
    expect(say(3, trouble)).toEqual([]);
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
    expect(say(1, part(4)).at(-1)).toMatchObject({ do: 'fail', code: 'LOCKSTEP_PROTOCOL' });
  });

  it('drops what belongs to another generation', () => {
    started();
    expect(say(1, { ...finished(sha), generation: 0 })).toEqual([]);
    expect(say(2, finished(sha))).toEqual([]);
  });
});
