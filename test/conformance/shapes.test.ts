// Every kernel on shapes that are drawn anew in each run (battery-draw.ts): the same bytes from every backend with a fused
// multiply-add and for any number of lanes, nothing written outside of the outputs, and numbers near the float64 reference.
// LOCKSTEP_SEED repeats a run. `npm run test:shapes` draws on for LOCKSTEP_SHAPES_SECONDS, or without end.

import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { drawCase } from '../../src/kernels/battery.ts';
import type { BatteryCase } from '../../src/kernels/battery-case.ts';
import { type CaseResult, caseRunner } from '../../src/kernels/battery-run.ts';
import { type KernelName, kernelNames } from '../../src/kernels/kernel-list.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { randomSeed } from '../support/seed.ts';
import { candidates } from './backends.ts';
import { farthest, firstDifference } from './differences.ts';

const casesPerKernel = 150;
const seconds = Number(process.env.LOCKSTEP_SHAPES_SECONDS ?? 0);
/** Elements of most cases, of every fifth, of every twenty-fifth. The reference computes the first alone: it is slow. */
const sizes = [1500, 20_000, 150_000] as const;

const blocksSizeMax = 8 * sizes[2];

type Run = (test: BatteryCase) => CaseResult;

interface Runner {
  readonly name: string;
  readonly family: string;
  /** By lanes, from one. */
  readonly byLanes: readonly Run[];
}

const runners: readonly Runner[] = candidates.flatMap(({ name, family, backend }) =>
  backend === null
    ? []
    : [{ name, family, byLanes: [1, 2, 3].map((lanes) => caseRunner(backend, lanes, { blocksSizeMax })) }],
);
const oracle = caseRunner(referenceBackend(64), 1);

/** What is wrong with one case, runner by runner. */
function faultsOf(test: BatteryCase, index: number): string[] {
  const isSmall = elementsMax(index) === sizes[0];
  const reference = isSmall ? oracle(test) : null;
  const ofFamily = new Map<string, { readonly by: string; readonly result: CaseResult }>();
  const faults: string[] = [];
  for (const { name, family, byLanes } of runners) {
    if (family === 'reference' && !isSmall) continue;
    for (const lanes of [1, 2 + (index % 2)]) {
      const by = `${name}, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`;
      let result: CaseResult;
      try {
        result = byLanes[lanes - 1]!(test);
      } catch (error) {
        faults.push(`${by}: ${(error as Error).message}`);
        continue;
      }
      const first = ofFamily.get(family);
      if (first === undefined) ofFamily.set(family, { by, result });
      const difference = first ? firstDifference(first.result, result) : 'none';
      if (difference !== 'none') faults.push(`${first!.by} and ${by}: ${difference}`);
      const distance =
        reference && lanes === 1 ? farthest(test, result, reference, family !== 'strict') : 'none';
      if (distance !== 'none') faults.push(`${by}: ${distance}`);
    }
  }
  return faults;
}

function elementsMax(index: number): number {
  return index % 25 === 24 ? sizes[2] : index % 5 === 4 ? sizes[1] : sizes[0];
}

/** The first case of a kernel that is wrong, or null. */
function firstFault(kernel: KernelName, seed: number): string | null {
  for (let index = 0; index < casesPerKernel; index += 1) {
    const test = drawCase(kernel, seed, index, elementsMax(index)) as BatteryCase;
    const faults = faultsOf(test, index);
    if (faults.length > 0) return `${kernel} ${test.name}\n  ${faults.join('\n  ')}`;
  }
  return null;
}

const deadline = performance.now() + seconds * 1000;
const longMs = 2 ** 31 - 1;

it(`${casesPerKernel} shapes of each of ${kernelNames.length} kernels on ${runners.length} backends, seed ${randomSeed}`, {
  timeout: seconds > 0 ? longMs : 240_000,
}, async () => {
  for (let seed = randomSeed; ; seed = (seed + 1) >>> 0) {
    const wrong: string[] = [];
    for (const kernel of kernelNames) {
      const fault = firstFault(kernel, seed);
      if (fault !== null) wrong.push(`LOCKSTEP_SEED=${seed}: ${fault}`);
      await setImmediate(); // the runner of the tests wants to hear of us
    }
    expect(wrong).toEqual([]);
    if (!(performance.now() < deadline)) return;
    process.stdout.write(`seed ${seed}: no difference\n`);
  }
});
