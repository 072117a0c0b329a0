// Whether a plan fits into memory: the parts of the sum, and what is said where they do not fit.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileModel } from '../../../src/compile/compile.ts';
import {
  addNeeds,
  arenaNeeds,
  inferenceNeeds,
  judgeMemory,
  type MachineMemory,
  totalOf,
} from '../../../src/engine/memory-budget.ts';
import { cnn, mlp } from './jobs.ts';
import { evenBoundaries, prepare } from './world.ts';

const machine: MachineMemory = {
  totalBytes: 8e9,
  availableBytes: 6e9,
  isLimited: false,
  bufferBytesMax: 1e12,
};

describe('what a plan needs', () => {
  it.each([
    ['cnn', cnn],
    ['mlp', mlp],
  ] as const)('is the whole arena in training and less of it in inference: %s', (_, job) => {
    for (const workers of [1, 2, 3]) {
      const boundaries = evenBoundaries(workers, job.shards);
      const compiled = compileModel({
        ...job,
        ...prepare(job),
        assignment: { shards: job.shards, firstShard: 0, endShard: boundaries[1]!, boundaries, lanes: 2 },
      });
      const needed = totalOf(arenaNeeds(compiled, 'training'));
      // Beside the tensors there are the program, the header, and what exchanges touch.
      expect(needed).toBeLessThanOrEqual(compiled.arenaSize * 4);
      expect(needed).toBeGreaterThan(compiled.arenaSize * 4 * 0.95);
      expect(totalOf(inferenceNeeds(compiled))).toBeLessThan(needed);
    }
  });

  it('adds up part by part', () => {
    expect(addNeeds({ parameters: 1, messages: 2 }, { parameters: 3 }, {})).toEqual({
      parameters: 4,
      messages: 2,
    });
  });
});

describe('a plan that', () => {
  it('fits needs no word', () => {
    expect(judgeMemory('the run', { parameters: 6e9 }, machine)).toEqual({ is: 'fits' });
  });

  it('needs a little more than is available is warned of', () => {
    expect(judgeMemory('the run', { parameters: 6.3e9 }, machine)).toEqual({
      is: 'warning',
      message:
        'the run needs 6.3 GB of memory (parameters 6.3 GB), but 6.0 GB of the 8.0 GB of this machine are available: ' +
        'the system may end it; use a smaller model',
    });
  });

  it('needs far more is refused, with the largest parts and what helps', () => {
    const needs = {
      parameters: 1.6e9,
      gradients: 3.3e9,
      'optimizer slots': 3.3e9,
      activations: 0.5e9,
      processes: 42e6,
    };
    const limited = { ...machine, isLimited: true };
    expect(judgeMemory('the run', needs, limited)).toEqual({
      is: 'error',
      code: 'LOCKSTEP_OUT_OF_MEMORY',
      message:
        'the run needs 8.7 GB of memory (gradients 3.3 GB, optimizer slots 3.3 GB, parameters 1.6 GB, activations 500 MB), ' +
        'but 6.0 GB of the 8.0 GB that its control group allows are available: use fewer workers, or ' +
        'an optimizer with fewer slots (sgd has none, momentum one, adam two), or a smaller model',
    });
  });

  it('is refused beyond the total or a tenth above what is available, and only then', () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.nat(1e9), fc.nat(1e9), (needed, available, used) => {
        const there = { ...machine, availableBytes: available, totalBytes: available + used };
        const isTooMuch = needed > available && (needed > available + used || needed > available * 1.1);
        const expected = needed <= available ? 'fits' : isTooMuch ? 'error' : 'warning';
        expect(judgeMemory('it', { parameters: needed }, there).is).toBe(expected);
      }),
    );
  });
});
