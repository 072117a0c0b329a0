// Stories of steps, told by events in and effects out.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LockstepError } from '../../../../src/errors.ts';
import {
  type StepEffect,
  type StepEvent,
  StepMachine,
  type StepPlan,
} from '../../../../worker/step/step-machine.ts';

const never = (): boolean => false;
const withPeers: StepPlan = {
  alone: false,
  segments: 2,
  updates: 1,
  buckets: 2,
  stepsPerTaskMax: 16,
  endStep: 2,
  evaluateAfter: (step) => step === 2,
  checkpointAfter: never,
  digestAfter: never,
};
const alone: StepPlan = {
  ...withPeers,
  alone: true,
  segments: 1,
  updates: 0,
  endStep: 40,
  evaluateAfter: (s) => s % 20 === 0,
};

/** Effects as short words: `runSegment 1.0`. */
function told(effects: readonly StepEffect[]): string[] {
  return effects.map((effect) => {
    const detail =
      'segment' in effect ? `.${effect.segment}` : 'exchange' in effect ? `.${effect.exchange}` : '';
    const rest = 'bucket' in effect ? `.${effect.bucket}` : 'steps' in effect ? `+${effect.steps}` : '';
    return `${effect.do} ${effect.step}${detail}${rest}`;
  });
}

function play(machine: StepMachine, events: readonly StepEvent[]): string[] {
  return events.flatMap((event) => told(machine.handle(event)));
}

const settled: readonly StepEvent[] = [
  { is: 'segmentDone' },
  { is: 'exchanged', exchange: 0 },
  { is: 'bucketReady', bucket: 1 },
  { is: 'bucketReady', bucket: 0 },
  { is: 'bucketReduced', bucket: 1 },
  { is: 'segmentDone' },
  { is: 'bucketReduced', bucket: 0 },
];

describe('with peers', () => {
  it('runs segments, exchanges, reductions, reports, the update, and then the next step', () => {
    const machine = new StepMachine(withPeers, 0);
    expect(play(machine, [{ is: 'begin' }, { is: 'exchangeReady', exchange: 0 }, ...settled])).toEqual([
      'runSegment 1.0',
      'exchange 1.0',
      'runSegment 1.1',
      'reduce 1.1',
      'reduce 1.0',
      'swapReports 1',
    ]);
    expect(play(machine, [{ is: 'reportsSwapped', finite: true, stop: false }])).toEqual(['runUpdate 1.0']);
    expect(play(machine, [{ is: 'updated', finite: true }])).toEqual(['report 1', 'runSegment 2.0']);
  });

  it('evaluates, keeps a snapshot and finishes at the end', () => {
    const machine = new StepMachine(withPeers, 1);
    play(machine, [{ is: 'begin' }, { is: 'exchangeReady', exchange: 0 }, ...settled]);
    play(machine, [{ is: 'reportsSwapped', finite: true, stop: false }]);
    expect(play(machine, [{ is: 'updated', finite: true }])).toEqual(['report 2', 'evaluate 2']);
    expect(play(machine, [{ is: 'evaluated' }])).toEqual(['digest 2', 'snapshot 2', 'finish 2']);
  });

  it('stops where all have heard of it, not where one has', () => {
    const machine = new StepMachine({ ...withPeers, endStep: 9 }, 0);
    play(machine, [{ is: 'begin' }, { is: 'stop' }, { is: 'exchangeReady', exchange: 0 }, ...settled]);
    play(machine, [{ is: 'reportsSwapped', finite: true, stop: true }]);
    expect(play(machine, [{ is: 'updated', finite: true }])).toEqual([
      'report 1',
      'digest 1',
      'snapshot 1',
      'finish 1',
    ]);
  });

  it('does not update where a loss is not finite', () => {
    const machine = new StepMachine(withPeers, 0);
    play(machine, [{ is: 'begin' }, { is: 'exchangeReady', exchange: 0 }, ...settled]);
    expect(play(machine, [{ is: 'reportsSwapped', finite: false, stop: false }])).toEqual(['diagnose 1']);
    expect(machine.phase).toBe('over');
  });

  it('names the step whose gradient has a norm that is not finite', () => {
    const machine = new StepMachine(withPeers, 0);
    play(machine, [{ is: 'begin' }, { is: 'exchangeReady', exchange: 0 }, ...settled]);
    play(machine, [{ is: 'reportsSwapped', finite: true, stop: false }]);
    expect(play(machine, [{ is: 'updated', finite: false }])).toEqual(['diagnose 1']);
  });

  it('updates once, in whatever order buckets and reports arrive', () => {
    const arrivals: StepEvent[] = [
      { is: 'bucketReduced', bucket: 0 },
      { is: 'bucketReduced', bucket: 1 },
      { is: 'reportsSwapped', finite: true, stop: false },
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(arrivals, { minLength: 3 }), (order) => {
        const machine = new StepMachine({ ...withPeers, segments: 1 }, 0);
        play(machine, [{ is: 'begin' }, { is: 'bucketReady', bucket: 0 }, { is: 'bucketReady', bucket: 1 }]);
        play(machine, [{ is: 'segmentDone' }]);
        const effects = order.map((event) => told(machine.handle(event)));
        expect(effects.flat()).toEqual(['runUpdate 1.0']);
        expect(effects.at(-1)).toEqual(['runUpdate 1.0']);
      }),
    );
  });

  it('takes an event out of turn for a bug of ours', () => {
    const machine = new StepMachine(withPeers, 0);
    expect(() => machine.handle({ is: 'evaluated' })).toThrow(LockstepError);
  });

  it('has nothing to do where the end is behind it', () => {
    expect(play(new StepMachine(withPeers, 2), [{ is: 'begin' }])).toEqual(['finish 2']);
  });
});

describe('alone', () => {
  const done = (steps: number, secondsPerStep = 0.001, finite = true): StepEvent => ({
    is: 'taskDone',
    steps,
    finite,
    secondsPerStep,
  });

  it('runs one step, then many a task, up to the next evaluation', () => {
    const machine = new StepMachine(alone, 0);
    expect(play(machine, [{ is: 'begin' }])).toEqual(['runTask 1+1']);
    expect(play(machine, [done(1)])).toEqual(['report 1', 'runTask 2+16']);
    const after17 = play(machine, [done(16)]);
    expect(after17).toHaveLength(17);
    expect(after17.at(0)).toBe('report 2');
    expect(after17.at(-1)).toBe('runTask 18+3');
    expect(play(machine, [done(3)]).at(-1)).toBe('evaluate 20');
    expect(play(machine, [{ is: 'evaluated' }])).toEqual(['runTask 21+16']);
  });

  it('ends a task where a digest is due', () => {
    const machine = new StepMachine({ ...alone, digestAfter: (step) => step === 9 }, 0);
    play(machine, [{ is: 'begin' }]);
    expect(play(machine, [done(1)]).at(-1)).toBe('runTask 2+8');
    expect(play(machine, [done(8)]).slice(-2)).toEqual(['digest 9', 'runTask 10+11']);
  });

  it('keeps a task of long steps short', () => {
    const machine = new StepMachine(alone, 0);
    play(machine, [{ is: 'begin' }]);
    expect(play(machine, [done(1, 0.06)]).at(-1)).toBe('runTask 2+3');
    expect(play(machine, [done(3, 5)]).at(-1)).toBe('runTask 5+1');
  });

  it('stops after the task in flight', () => {
    const machine = new StepMachine(alone, 0);
    play(machine, [{ is: 'begin' }, done(1), { is: 'stop' }]);
    expect(play(machine, [done(16)]).slice(-3)).toEqual(['digest 17', 'snapshot 17', 'finish 17']);
  });

  it('names the step after the last good one', () => {
    const machine = new StepMachine(alone, 0);
    play(machine, [{ is: 'begin' }, done(1)]);
    expect(play(machine, [done(2, 0.001, false)])).toEqual(['report 2', 'report 3', 'diagnose 4']);
  });
});
