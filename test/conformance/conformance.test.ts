// One suite for every backend: the same bytes for any number of lanes, the same bytes for all that have a fused
// multiply-add, and numbers near those of the float64 reference.

import { createHash, type Hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../src/kernels/backend.ts';
import { battery } from '../../src/kernels/battery.ts';
import type { BatteryCase } from '../../src/kernels/battery-case.ts';
import { type CaseResult, caseRunner } from '../../src/kernels/battery-run.ts';
import { differingKernels, numericsFingerprint } from '../../src/kernels/fingerprint.ts';
import { type KernelName, kernelNames } from '../../src/kernels/kernel-list.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { candidates } from './backends.ts';
import { farthest, firstDifference } from './differences.ts';

const newSha256 = (): Hash => createHash('sha256');

type Run = (test: BatteryCase) => CaseResult;

/** A runner that runs each case once, however often it is asked. */
function remembered(backend: Backend, lanes: number): Run {
  const run = caseRunner(backend, lanes);
  const results = new Map<BatteryCase, CaseResult>();
  return (test) => {
    const result = results.get(test) ?? run(test);
    results.set(test, result);
    return result;
  };
}

const oracle = remembered(referenceBackend(64), 1);

/** Every case of a kernel of which `what` does not say 'none'. */
function offenders(kernel: KernelName, what: (test: BatteryCase) => string): string[] {
  const found = (battery[kernel] as readonly BatteryCase[]).map((test) => [test.name, what(test)] as const);
  return found
    .filter(([, difference]) => difference !== 'none')
    .map(([name, difference]) => `${name}: ${difference}`);
}

const fused = candidates.find(({ family, backend }) => family === 'fused' && backend !== null);
const fusedRun = fused?.backend ? remembered(fused.backend, 1) : null;

describe.each(candidates.filter(({ backend }) => backend !== null))('$name', ({ name, family, backend }) => {
  const [one, two, three] = [1, 2, 3].map((lanes) => remembered(backend!, lanes)) as [Run, Run, Run];

  it.each(kernelNames)('%s: the same bytes from 1, 2 and 3 lanes', (kernel) => {
    expect(offenders(kernel, (test) => firstDifference(one(test), two(test)))).toEqual([]);
    expect(offenders(kernel, (test) => firstDifference(one(test), three(test)))).toEqual([]);
  });

  it.each(kernelNames)('%s: near the float64 reference', (kernel) => {
    expect(offenders(kernel, (test) => farthest(test, one(test), oracle(test), family !== 'strict'))).toEqual(
      [],
    );
  });

  if (family !== 'fused' || name === fused?.name) return;
  it.each(kernelNames)(`%s: the same bytes as ${fused?.name}`, (kernel) => {
    expect(offenders(kernel, (test) => firstDifference(one(test), fusedRun!(test)))).toEqual([]);
  });
});

describe('backends that are not here', () => {
  for (const { name, reason } of candidates.filter(({ backend }) => backend === null))
    it.skip(`${name}: ${reason}`, () => {});

  it('the reference always is', () => {
    expect(candidates.find(({ family }) => family === 'reference')?.reason).toBe('');
  });
});

describe('numerics fingerprint', () => {
  it('is shared by all with a fused multiply-add, and by nobody else', () => {
    const prints = candidates.flatMap(({ backend, family }) =>
      backend ? [{ family, ...numericsFingerprint(backend, newSha256) }] : [],
    );
    const families = new Set(prints.map(({ family }) => family));
    const distinct = new Set(prints.map(({ family, fingerprint }) => `${family} ${fingerprint}`));
    expect(distinct.size).toBe(families.size);
    expect(new Set(prints.map(({ fingerprint }) => fingerprint)).size).toBe(families.size);
  });

  it('names the kernels that differ', () => {
    const { kernels } = numericsFingerprint(referenceBackend(32), newSha256);
    expect(differingKernels(kernels, kernels)).toEqual([]);
    expect(differingKernels({ ...kernels, adam: 'other', add: 'other' }, kernels)).toEqual(['add', 'adam']);
  });
});
