// Thousands of simulated runs, each with its own cluster and faults drawn from its seed. A failure names seed and commit; the
// command it prints runs that seed again with a trace of every event and effect.

import { describe, expect, it } from 'vitest';
import { codeOf, failureText } from './failure.ts';
import { Simulation } from './simulation.ts';

const secondMs = 1000;
const from = Number(process.env.LOCKSTEP_SIM_FROM ?? 1);
const seeds = Number(process.env.LOCKSTEP_SIM_SEEDS ?? 2_000);
const traceLines = Number(process.env.LOCKSTEP_SIM_TRACE ?? (seeds === 1 ? 400 : 0));
const batch = Math.max(1, Math.ceil(seeds / 8));

/** The message of what went wrong, with the way to see it again. */
function runSeed(seed: number): void {
  try {
    new Simulation(seed).run();
  } catch (error) {
    if (traceLines > 0) {
      const lines: string[] = [];
      try {
        new Simulation(seed, { lines }).run();
      } catch {
        process.stdout.write(`${lines.slice(-traceLines).join('\n')}\n`);
      }
    }
    throw new Error(failureText(seed, codeOf(), error as Error));
  }
}

describe('a quiet run', () => {
  it('takes as many memberships as it must, and ends with the right bits', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { faults } = new Simulation(seed, { quiet: true }).run();
      expect(faults).toBe(0);
    }
  });

  it('is the same run for the same seed', () => {
    const outcomes = [1, 2].map(() => new Simulation(7).run());
    expect(outcomes[0]).toEqual(outcomes[1]);
  });
});

describe('whatever goes wrong, the run ends with the same bits', () => {
  for (let first = from; first < from + seeds; first += batch) {
    const end = Math.min(from + seeds, first + batch);
    it(
      `seeds ${first} to ${end - 1}`,
      () => {
        for (let seed = first; seed < end; seed += 1) runSeed(seed);
      },
      Math.max(60, batch) * secondMs,
    );
  }
});
