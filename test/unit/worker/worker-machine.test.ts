// Stories of a worker and its coordinator: joining, aligning, being without a coordinator, leaving, ending.

import { beforeEach, describe, expect, it } from 'vitest';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';
import {
  redialMs,
  refusedMs,
  type WorkerEffect,
  type WorkerEvent,
  WorkerMachine,
} from '../../../worker/worker-machine.ts';

const sha = 'a'.repeat(64);
const hello = {
  type: 'hello',
  protocolVersion: 1,
  packageVersion: '1.0.0',
  fingerprint: sha,
  kernelHashes: {},
  backend: 'native',
  variant: 'avx2',
  threads: 1,
  workerId: 'w',
  peerHost: '',
  peerPort: 7000,
} as const;

const dataset = {
  sha256: sha,
  inputShape: [1],
  targetSize: 1,
  classes: 2,
  trainSamples: 8,
  testSamples: 8,
};

function membership(generation: number): MessageOf<'membership'> {
  const member = { workerId: 'w', host: 'h', port: 1, firstShard: 0, endShard: 8 };
  return { type: 'membership', generation, members: [member], rank: 0, endStep: 10, alone: false };
}

function alignment(generation: number, step: number): MessageOf<'align'> {
  const healing = { origin: 'member', source: 0, behind: [] } as const;
  return { type: 'align', generation, step, ...healing, evaluate: false, snapshot: false, verify: false };
}

let machine = new WorkerMachine();
beforeEach(() => {
  machine = new WorkerMachine();
});

/** What comes out, in few words: messages with their generation. */
function words(effects: readonly WorkerEffect[]): string[] {
  return effects.map((effect) => {
    if (effect.do === 'fail') return `fail ${effect.code}`;
    if (effect.do === 'end' && effect.stoppedAt !== null) return `end, stopped at ${effect.stoppedAt}`;
    if (effect.do !== 'send') return effect.do;
    return 'generation' in effect.message
      ? `${effect.message.type} ${effect.message.generation}`
      : effect.message.type;
  });
}

const done = { type: 'done', step: 10, stopped: false } as const;
const handle = (event: WorkerEvent): string[] => words(machine.handle(event));
const hear = (message: MessageFrom<'coordinator'>): string[] => handle({ is: 'message', message });
const open = (): string[] => handle({ is: 'opened', hello });
const welcome = (runId = 'run', config = '{}', sha256 = sha): string[] =>
  hear({ type: 'welcome', runId, config, workerId: 'w', nameSecret: sha, dataset: { ...dataset, sha256 } });

function joined(): void {
  open();
  welcome();
  handle({ is: 'prepared', hasData: true });
}

function aligned(generation: number, step: number | null = null): void {
  hear(membership(generation));
  handle({ is: 'quiet', generation, step });
  hear(alignment(generation, step ?? 0));
  handle({ is: 'aligned', generation, digest: 0 });
}

function running(generation = 1): void {
  joined();
  aligned(generation);
  hear({ type: 'start', generation });
}

describe('joining', () => {
  it('proves its name by the secret of its first welcome', () => {
    const said = (): unknown => machine.handle({ is: 'opened', hello });
    expect(said()).toMatchObject([{ message: { type: 'hello', nameSecret: '', runId: '' } }]);
    welcome();
    handle({ is: 'closed', why: 'x', broken: true });
    expect(said()).toMatchObject([{ message: { type: 'hello', nameSecret: sha, runId: 'run' } }]);
  });

  it('says hello, asks for the data it has not, and is ready when it is here', () => {
    expect(open()).toEqual(['hello 0']);
    expect(welcome()).toEqual(['prepare']);
    expect(handle({ is: 'prepared', hasData: false })).toEqual(['dataRequest']);
    expect(hear({ type: 'dataPiece', part: 'trainInputs', offset: 0, bytes: new Uint8Array(1) })).toEqual([
      'takeData',
    ]);
    expect(handle({ is: 'dataComplete' })).toEqual(['ready 0']);
  });

  it('ends in order when the run is over before it is welcomed, or while it loads', () => {
    open();
    expect(hear(done)).toEqual(['end']);
    machine = new WorkerMachine();
    open();
    welcome();
    expect(hear(done)).toEqual(['end']);
  });

  it('fails with the reason for which it is refused', () => {
    open();
    expect(hear({ type: 'refused', code: 'LOCKSTEP_VERSION_MISMATCH', message: 'old' })).toEqual([
      'fail LOCKSTEP_VERSION_MISMATCH',
    ]);
  });

  it('takes no message that has no place', () => {
    open();
    expect(hear(membership(1))).toEqual(['fail LOCKSTEP_PROTOCOL']);
  });
});

describe('aligning', () => {
  it('gives up what it does, tells its standing, aligns, and begins when all are ready', () => {
    joined();
    expect(hear(membership(1))).toEqual(['form']);
    expect(handle({ is: 'quiet', generation: 1, step: null })).toEqual(['standing 1']);
    expect(hear(alignment(1, 0))).toEqual(['align']);
    expect(handle({ is: 'aligned', generation: 1, digest: 0 })).toEqual(['ready 1']);
    expect(hear({ type: 'start', generation: 1 })).toEqual(['begin']);
  });

  it('starts over with a newer membership, and says nothing more of the older one', () => {
    joined();
    hear(membership(1));
    expect(hear(membership(2))).toEqual(['form']);
    expect(handle({ is: 'quiet', generation: 1, step: null })).toEqual([]);
    expect(handle({ is: 'aligned', generation: 1, digest: 0 })).toEqual([]);
    expect(handle({ is: 'peerLost', generation: 1, rank: 1, why: 'gone', broken: true })).toEqual([]);
    expect(hear(membership(1))).toEqual([]);
  });

  it('lets state and stops of an older membership pass that come late', () => {
    running(2);
    const piece = { section: 'parameters', offset: 0, total: 4, bytes: new Uint8Array(4) };
    expect(hear({ type: 'statePiece', generation: 1, step: 3, ...piece })).toEqual([]);
    expect(hear({ type: 'start', generation: 1 })).toEqual([]);
    expect(hear({ type: 'stop', generation: 1 })).toEqual([]);
    expect(hear({ type: 'stop', generation: 2 })).toEqual(['stopSteps']);
  });

  it('suspects a peer that it cannot reach', () => {
    running();
    expect(handle({ is: 'peerLost', generation: 1, rank: 1, why: 'gone', broken: true })).toEqual([
      'suspect 1',
    ]);
  });
});

describe('the end', () => {
  const finished = (generation: number): string[] =>
    handle({ is: 'finished', generation, step: 10, weightsSha256: sha });

  it('is told, and waited for', () => {
    running();
    expect(finished(1)).toEqual(['finished 1']);
    expect(hear(done)).toEqual(['end']);
  });

  it('comes early where the coordinator stops the run, known by its step', () => {
    running();
    expect(hear({ type: 'stop', generation: 1 })).toEqual(['stopSteps']);
    expect(hear({ ...done, step: 7, stopped: true })).toEqual(['end, stopped at 7']);
  });

  it('of an older membership is not told as that of a newer one, whose snapshot is still owed', () => {
    running();
    hear(membership(2));
    expect(finished(1)).toEqual([]);
    expect(machine.phase).toBe('aligning');
    handle({ is: 'quiet', generation: 2, step: 10 });
    expect(hear(alignment(2, 10))).toEqual(['align']);
    handle({ is: 'aligned', generation: 2, digest: 0 });
    hear({ type: 'start', generation: 2 });
    expect(finished(2)).toEqual(['finished 2']);
  });
});

describe('without a coordinator', () => {
  it('dials again where the link broke before the welcome, not where the coordinator ended it', () => {
    open();
    expect(handle({ is: 'closed', why: 'reset', broken: true })).toEqual(['redial']);
    expect(open()).toEqual(['hello 0']);
    expect(welcome()).toEqual(['prepare']);
    machine = new WorkerMachine();
    open();
    const why = 'the run is over';
    expect(handle({ is: 'closed', why, broken: false })).toEqual(['fail LOCKSTEP_PEER_LOST']);
  });

  it('dials again where it is turned away for now, before it was ever welcomed', () => {
    open();
    handle({ is: 'closed', why: 'reset', broken: true });
    open();
    hear({
      type: 'refused',
      code: 'LOCKSTEP_CONNECT_FAILED',
      message: 'a worker of this name is here already',
    });
    expect(machine.handle({ is: 'closed', why: 'refused', broken: false })).toEqual([
      { do: 'redial', afterMs: refusedMs, refusal: expect.any(String) },
    ]);
    open();
    expect(welcome()).toEqual(['prepare']);
  });

  it('goes on, looks for it, and is ready for a membership when it is back', () => {
    running();
    expect(machine.handle({ is: 'closed', why: 'killed', broken: true })).toEqual([
      { do: 'redial', afterMs: redialMs.first },
    ]);
    expect(handle({ is: 'peerLost', generation: 1, rank: 1, why: 'gone', broken: true })).toEqual([]);
    expect(open()).toEqual(['hello 1']);
    expect(welcome()).toEqual(['ready 0', 'suspect 1']);
    expect(hear(membership(2))).toEqual(['form']);
    handle({ is: 'closed', why: 'killed', broken: true });
    open();
    expect(welcome()).toEqual(['ready 0']);
  });

  it('joins no other run at the same address', () => {
    running();
    handle({ is: 'closed', why: 'killed', broken: true });
    open();
    expect(welcome('another')).toEqual(['fail LOCKSTEP_USAGE']);
  });

  describe('that comes back with another config or data set', () => {
    const back = (): void => {
      handle({ is: 'closed', why: 'killed', broken: true });
      open();
    };
    const fixed = { seed: 1, batch: 32, epochs: 3 };
    const config = JSON.stringify(fixed);

    it('ends where it was a member and the weights would be others', () => {
      open();
      welcome('run', config);
      handle({ is: 'prepared', hasData: true });
      aligned(1);
      back();
      const message: MessageFrom<'coordinator'> = {
        ...{ type: 'welcome', runId: 'run', workerId: 'w', nameSecret: sha, dataset },
        config: JSON.stringify({ ...fixed, batch: 16 }),
      };
      expect(machine.handle({ is: 'message', message })).toEqual([
        {
          do: 'fail',
          code: 'LOCKSTEP_USAGE',
          message:
            'the coordinator came back changed: this run was begun with batch 32, but now it is 16; end it, and resume with the same',
        },
      ]);
    });

    it('ends where it was a member and the data set is another', () => {
      running();
      back();
      expect(welcome('run', '{}', 'b'.repeat(64))).toEqual(['fail LOCKSTEP_USAGE']);
    });

    it('goes on under it where the weights are the same, once', () => {
      open();
      welcome('run', config);
      handle({ is: 'prepared', hasData: true });
      aligned(1);
      const longer = JSON.stringify({ ...fixed, epochs: 9 });
      back();
      expect(welcome('run', longer)).toEqual(['ready 0', 'reconfigure']);
      back();
      expect(welcome('run', longer)).toEqual(['ready 0']);
    });

    it('prepares anew where it was no member', () => {
      joined();
      back();
      expect(welcome('run', config, 'b'.repeat(64))).toEqual(['prepare']);
      expect(handle({ is: 'prepared', hasData: false })).toEqual(['dataRequest']);
      expect(handle({ is: 'dataComplete' })).toEqual(['ready 0']);
    });

    it('leaves where it was no member and wants to', () => {
      joined();
      handle({ is: 'stop' });
      back();
      expect(welcome('run', config)).toEqual(['leave']);
    });
  });

  it('asks again after a while when the others could not reach it', () => {
    running();
    handle({ is: 'closed', why: 'left out', broken: false });
    open();
    expect(hear({ type: 'refused', code: 'LOCKSTEP_CONNECT_FAILED', message: 'not yet' })).toEqual([]);
    expect(machine.handle({ is: 'closed', why: 'refused', broken: false })).toEqual([
      { do: 'redial', afterMs: refusedMs, refusal: expect.any(String) },
    ]);
    open();
    welcome();
    expect(machine.handle({ is: 'closed', why: 'killed', broken: true })).toEqual([
      { do: 'redial', afterMs: 4 * redialMs.first },
    ]);
  });

  it('waits before it dials, longer each time, until it is a member again', () => {
    running();
    const lost = (): number => {
      const [effect] = machine.handle({ is: 'closed', why: 'over', broken: false });
      open();
      return effect?.do === 'redial' ? effect.afterMs : 0;
    };
    const waited = Array.from({ length: 8 }, lost);
    expect(waited.slice(0, 4)).toEqual([50, 100, 200, 400]);
    expect(waited.at(-1)).toBe(redialMs.most);
    welcome();
    hear(membership(2));
    expect(lost()).toBe(redialMs.first);
  });

  it('ends in order when it comes back as the run is over', () => {
    running();
    handle({ is: 'closed', why: 'reset', broken: true });
    open();
    expect(hear(done)).toEqual(['end']);
  });

  it('asks for the data anew when the connection broke while it loaded', () => {
    open();
    welcome();
    handle({ is: 'prepared', hasData: false });
    handle({ is: 'closed', why: 'reset', broken: true });
    open();
    expect(welcome()).toEqual(['prepare']);
    expect(handle({ is: 'prepared', hasData: false })).toEqual(['dataRequest']);
  });

  it('that got warm while the link came anew is ready once, after the welcome', () => {
    open();
    welcome();
    handle({ is: 'prepared', hasData: false });
    handle({ is: 'closed', why: 'reset', broken: true });
    open();
    expect(handle({ is: 'dataComplete' })).toEqual([]);
    expect(welcome()).toEqual(['ready 0']);
    expect(handle({ is: 'prepared', hasData: true })).toEqual([]);
  });
});

describe('leaving', () => {
  it('asks once, and stays until it is released', () => {
    running();
    expect(handle({ is: 'stop' })).toEqual(['leave']);
    expect(handle({ is: 'stop' })).toEqual([]);
    expect(hear({ type: 'released' })).toEqual(['end']);
  });

  it('ends at once before it has anything to hand over', () => {
    open();
    expect(handle({ is: 'stop' })).toEqual(['fail LOCKSTEP_STOPPED']);
  });

  it('waits for a coordinator that is away, to hand over', () => {
    running();
    handle({ is: 'closed', why: 'killed', broken: true });
    expect(handle({ is: 'stop' })).toEqual([]);
    expect(open()).toEqual(['hello 1']);
    expect(welcome()).toEqual(['ready 0', 'leave']);
    expect(hear(membership(2))).toEqual(['form']);
  });

  it('says so again to one that comes back, and not before it is welcome', () => {
    running();
    handle({ is: 'stop' });
    expect(handle({ is: 'closed', why: 'killed', broken: true })).toEqual(['redial']);
    open();
    expect(handle({ is: 'stop' })).toEqual([]);
    expect(welcome()).toEqual(['ready 0', 'leave']);
  });

  it('ends when the coordinator does not come back', () => {
    running();
    handle({ is: 'stop' });
    handle({ is: 'closed', why: 'killed', broken: true });
    expect(handle({ is: 'gaveUp', message: 'away' })).toEqual(['fail LOCKSTEP_STOPPED']);
  });
});

describe('a worker that fails', () => {
  const failed = {
    is: 'failed',
    code: 'LOCKSTEP_NOT_FINITE',
    message: 'bad',
    phase: 'updating',
    step: 3,
  } as const;
  const own = { do: 'fail', code: 'LOCKSTEP_NOT_FINITE', message: 'bad' };
  beforeEach(() => running());

  it('says so, and stays until it is told how the run ends', () => {
    expect(handle(failed)).toEqual(['failure 1']);
    expect(handle({ ...failed, message: 'what follows from it' })).toEqual([]);
    expect(handle({ is: 'peerLost', generation: 1, rank: 1, why: 'gone', broken: true })).toEqual([]);
    expect(hear(membership(2))).toEqual([]);
    const at = { generation: 1, step: 3, phase: 'x' };
    const told = { type: 'failure', code: 'LOCKSTEP_OUT_OF_MEMORY', ...at } as const;
    expect(machine.handle({ is: 'message', message: { ...told, message: 'the cause' } })).toEqual([
      { do: 'fail', code: 'LOCKSTEP_OUT_OF_MEMORY', message: 'the cause' },
    ]);
  });

  it.each<[string, WorkerEvent]>([
    ['it is left out', { is: 'closed', why: 'left out', broken: false }],
    ['the others came to the end', { is: 'message', message: done }],
    ['it is asked to end', { is: 'stop' }],
  ])('ends with its own error when %s', (_, event) => {
    handle(failed);
    expect(machine.handle(event)).toEqual([own]);
  });

  it('ends at once where there is no coordinator to tell', () => {
    handle({ is: 'closed', why: 'killed', broken: true });
    expect(machine.handle(failed)).toEqual([own]);
  });
});
