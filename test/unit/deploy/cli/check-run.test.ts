// Relations between options, config and machine.

import { describe, expect, it } from 'vitest';
import {
  checkExposure,
  checkMinWorkers,
  checkStop,
  planLanes,
  stepsOf,
} from '../../../../deploy/cli/check-run.ts';
import { parseConfig } from '../../../../src/config/parse.ts';
import { LockstepError } from '../../../../src/errors.ts';

const config = parseConfig(
  {
    data: { kind: 'digits', train: 100 },
    model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
    loss: 'softmaxCrossEntropy',
    metrics: ['accuracy'],
    optimizer: { type: 'sgd', learningRate: 0.1 },
    batch: 30,
    epochs: 2,
    shards: 8,
  },
  'test.json',
);
const errorOf = (run: () => unknown): LockstepError => {
  try {
    run();
  } catch (error) {
    if (error instanceof LockstepError) return error;
  }
  throw new Error('no LockstepError');
};

describe('planLanes', () => {
  it.each([
    [0, undefined, 4, 4],
    [0, undefined, 64, 8],
    [2, undefined, 4, 2],
    [3, undefined, 64, 2],
    [5, undefined, 2, 1],
    [2, 4, 1, 4],
  ])('%s workers, %s threads on %s cores: %s threads', (workers, threads, cores, expected) => {
    expect(planLanes({ workers, threads }, config, cores)).toEqual({ workers, threads: expected });
  });

  it('lets lanes be more than shards, so that one config runs everywhere', () => {
    expect(planLanes({ workers: 5, threads: 2 }, config, 2)).toEqual({ workers: 5, threads: 2 });
  });

  it('refuses more workers than shards, and says the remedy', () => {
    const error = errorOf(() => planLanes({ workers: 9, threads: 1 }, config, 2));
    expect(error.code).toBe('LOCKSTEP_USAGE');
    expect(error.message).toBe(
      '9 workers need at least 9 shards, but the run has 8: ' +
        'use fewer, or set shards to 9 in the config or by --shards (this changes the result)',
    );
  });
});

describe('checkExposure', () => {
  it.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1'])('lets %s pass', (host) => {
    expect(() => checkExposure({ host, port: 1 }, false)).not.toThrow();
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'host', '127.0.0.1.example'])('asks for --insecure at %s', (host) => {
    expect(errorOf(() => checkExposure({ host, port: 1 }, false)).code).toBe('LOCKSTEP_INSECURE');
    expect(() => checkExposure({ host, port: 1 }, true)).not.toThrow();
  });
});

describe('steps', () => {
  it('count the ragged last batch of every epoch', () => {
    expect(stepsOf(config, 100)).toBe(8);
    expect(stepsOf(config, 90)).toBe(6);
  });

  it('bound --stop-after', () => {
    expect(() => checkStop(8, 8)).not.toThrow();
    expect(() => checkStop(undefined, 8)).not.toThrow();
    expect(errorOf(() => checkStop(9, 8)).message).toBe(
      '--stop-after 9 lies beyond the end of the run, which has 8 steps',
    );
  });
});

describe('checkMinWorkers', () => {
  it('takes as many as there are, and one where this process computes', () => {
    checkMinWorkers(3, 3);
    checkMinWorkers(0, 1);
  });

  it('refuses a run that would never begin', () => {
    expect(errorOf(() => checkMinWorkers(2, 3)).code).toBe('LOCKSTEP_USAGE');
    expect(errorOf(() => checkMinWorkers(0, 2)).message).toContain('--min-workers 2');
  });
});
