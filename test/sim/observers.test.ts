// Every observer can fail: for each rule a cluster that breaks it, and what its observer then says. A rule that nothing can
// break would watch nothing.

import { describe, expect, it } from 'vitest';
import type { Breakage } from './breakages.ts';
import type { FaultRates } from './faults.ts';
import { lies } from './lies.ts';
import { Violation } from './observers.ts';
import { Simulation } from './simulation.ts';

/** What seeds that break a rule say, up to the first that says `says`. */
function violations(
  broken: Breakage | undefined,
  rates: Partial<FaultRates>,
  seeds: number,
  says = /./,
): readonly string[] {
  const said: string[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      new Simulation(seed, { rates, ...(broken === undefined ? {} : { broken }) }).run();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      said.push(error.message);
      if (says.test(error.message)) break;
    }
  }
  return said;
}

const kills = { killWorker: 3, killCoordinator: 3, everyMs: 60, safetyMs: 4_000 };
const changes = { ...kills, join: 3, leave: 3 };

const twins: readonly (readonly [Breakage, RegExp, Partial<FaultRates>])[] = [
  ['takesShardTwice', /has each step's shards once: step 1 of 1 has .* so often: [012]*2[012]*$/, {}],
  ['dropsRaggedBatch', /has each epoch's samples once: epoch 0 took 32 samples/, {}],
  ['countsWorkers', /has the bits of the quiet run/, {}],
  ['goesOnInOldGeneration', /w\d+ computes for generation \d+, and for none after it/, changes],
  ['goesOnInOldGeneration', /is not taken beside generation \d+, which went on from step/, changes],
  [
    'countsOldReports',
    /the report of step \d+ of generation \d+ counts in generation/,
    { ...changes, clog: 6 },
  ],
  [
    'forgetsNumerics',
    /w\d+, which has other kernels than the run, is refused/,
    { ...kills, killWorker: 6, joinForeign: 6 },
  ],
  ['forgetsGenerations', /generation \d+ is newer than \d+/, kills],
  [
    'acknowledgesBeforeWriting',
    /goes on from step \d+, not behind the checkpoint of step/,
    { killWorker: 6, killCoordinator: 6, slowDisk: 6, everyMs: 40, safetyMs: 4_000 },
  ],
  ['reportsBeforeUpdate', /step \d+ is told after it was applied/, {}],
  ['reportsOtherLosses', /step \d+ is told with its losses/, {}],
  ['evaluatesOtherShards', /the evaluation after step \d+ is that of the quiet run/, {}],
  ['understatesItsStep', /goes on from step \d+, not behind step \d+ of w/, changes],
  ['looksAtNoState', /the checkpoint of step \d+ is that of the quiet run/, { flip: 6, everyMs: 40 }],
  ['endsBeforeWriting', /the end after step \d+ is on disk as a checkpoint/, { slowDisk: 3 }],
  ['floodsSockets', /bytes of bulk data on the way are at most/, { ...changes, clog: 3 }],
  ['swapsAhead', /early swaps of one peer at w\d+ are at most/, {}],
  ['dialsTooOften', /connections that wait at w\d+ are one of each rank and generation/, changes],
  [
    'blamesAnother',
    /nobody is blamed without a cause: worker w\d+ (is kept out of this run|got from worker w\d+) /,
    { lie: 6 },
  ],
  ['ignoresRelease', /a worker that was asked to leave (does|stays)/, { leave: 3, interrupt: 0 }],
  ['neverStarts', /the run does not end: coordinator \w+; w\d+ /, {}],
];

describe('the observers', () => {
  it.each(twins)('see a cluster that %s', (broken, says, rates) => {
    expect(violations(broken, rates, 200, says).at(-1)).toMatch(says);
  });

  it('see every kind of lie named, sooner or later', () => {
    const named = new Set<string>();
    for (let seed = 1; seed <= 40 && named.size < lies.length; seed += 1) {
      const rates = { lie: 6, lieQuietly: 0, join: 3, everyMs: 100, safetyMs: 3_000 };
      const simulation = new Simulation(seed, { rates });
      simulation.run();
      for (const { host, liar } of simulation.workers)
        if (liar !== null && simulation.named.has(host.name)) named.add(liar.lie);
    }
    expect([...named].sort()).toEqual([...lies].sort());
  });

  it('see nothing in clusters with the same faults that break no rule', () => {
    for (const rates of new Set(twins.map(([, , each]) => each)))
      expect(violations(undefined, rates, 2)).toEqual([]);
  });
});
