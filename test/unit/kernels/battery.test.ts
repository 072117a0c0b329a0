// The battery itself: it is deterministic, meets every layout, and catches a kernel that writes where it must not.

import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/kernels/backend.ts';
import { battery } from '../../../src/kernels/battery.ts';
import {
  type BatteryCase,
  batteryCase,
  input,
  layouts,
  output,
  stepLayout,
} from '../../../src/kernels/battery-case.ts';
import { caseRunner, runCase } from '../../../src/kernels/battery-run.ts';
import { kernelNames, kernels } from '../../../src/kernels/kernel-list.ts';
import { referenceBackend } from '../../../src/kernels/reference/backend.ts';

const reference = referenceBackend(32);
const fill = batteryCase('fill', 'a few', 'one', { out: output(5), count: 5, value: 2.5 });

/** The reference with a store of its own after every run: `word` words from the first output. */
function leaky(word: number): Backend {
  return {
    ...reference,
    attach: (handle, lane) => {
      const runner = reference.attach(handle, lane);
      return {
        ...runner,
        run: (from, to, table) => {
          runner.run(from, to, table);
          runner.arena.floats[runner.arena.ints[from + 2]! + word] = 1;
        },
      };
    },
  };
}

describe('battery', () => {
  it.each(kernelNames)('%s has cases with names of their own', (kernel) => {
    const names = battery[kernel].map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(kernelNames.filter((kernel) => kernels[kernel].partition === 'rows'))(
    '%s meets shards that are empty',
    (kernel) => {
      const empty = (battery[kernel] as readonly BatteryCase[]).filter(
        ({ layout }) => layout.rows < layout.ownShards,
      );
      expect(empty.length).toBeGreaterThan(0);
    },
  );

  it('gives the same numbers twice, also after another case on the same arena', () => {
    const run = caseRunner(reference, 1);
    const [first, second] = battery.denseForward.slice(3, 5) as readonly BatteryCase[];
    const before = run(first!);
    run(second!);
    expect(run(first!)).toEqual(before);
    expect(runCase(reference, first!, 1)).toEqual(before);
  });

  it('catches a store ahead of the output and behind it', () => {
    expect([...runCase(leaky(4), fill, 1).floats]).toEqual([2.5, 2.5, 2.5, 2.5, 1]);
    expect(() => runCase(leaky(5), fill, 1)).toThrow(/fill one a few wrote outside of its outputs/);
    expect(() => runCase(leaky(-1), fill, 1)).toThrow(/wrote outside of its outputs/);
  });

  it('catches a store into an input', () => {
    const x = input(4);
    const test = batteryCase('add', 'inputs', 'one', { y: output(4), a: x, b: x, size: 4, activation: 0 });
    expect(() => runCase(leaky(32), test as BatteryCase, 1)).toThrow(/wrote outside of its outputs/);
  });
});

describe('layouts', () => {
  it('of all workers cover the batch', () => {
    const boundaries = [0, 2, 5, 8];
    const workers = [0, 1, 2].map((worker) => stepLayout(29, 8, boundaries, worker));
    expect(workers.reduce((sum, { rows }) => sum + rows, 0)).toBe(29);
    expect(workers.map(({ nodeStart }) => nodeStart)).toEqual([0, 1, 3]);
    expect(workers[2]!.nodeStart + workers[2]!.ownNodes).toBe(workers[0]!.globalNodes);
    expect(layouts.middle).toEqual(workers[1]);
  });
});
