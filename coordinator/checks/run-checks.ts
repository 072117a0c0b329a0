// The checks of a run before its first step, in one table: what would go wrong in silence is an error or a warning here. A new
// check is one row. Pure.

import { LockstepError } from '../../src/errors.ts';
import type { RunCheck, RunFacts } from './finding.ts';
import { exceedsMemory } from './memory.ts';
import { normalizesOneValue } from './one-value-norm.ts';
import { rateTooLarge, rateTooSmall, zeroRate } from './zero-rate.ts';

export const runChecks = {
  rateTooLarge,
  zeroRate,
  rateTooSmall,
  normalizesOneValue,
  exceedsMemory,
} as const satisfies Readonly<Record<string, RunCheck>>;

/** The warnings, in the table's order. Throws the first error. */
export function checkRun(facts: RunFacts): string[] {
  const findings = Object.values<RunCheck>(runChecks).flatMap((check) => check(facts) ?? []);
  for (const finding of findings) {
    if (finding.is === 'error') throw new LockstepError(finding.code, finding.message);
  }
  return findings.map(({ message }) => message);
}
