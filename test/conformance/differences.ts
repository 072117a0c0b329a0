// How the results of a case differ: from another backend's by bytes, from the float64 reference's by more than the kernel's
// tolerance. Each gives a text for the message, or 'none'.

import type { BatteryCase } from '../../src/kernels/battery-case.ts';
import type { CaseResult } from '../../src/kernels/battery-run.ts';
import { toleranceOf } from './tolerances.ts';

/** Hexadecimal words, NaN and -0 told apart. */
function words({ floats, ints }: CaseResult): string {
  return Buffer.concat([new Uint8Array(floats.buffer), new Uint8Array(ints.buffer)]).toString('hex');
}

/** Where two results differ, for the message: a diff of 10,000 words helps nobody. */
export function firstDifference(a: CaseResult, b: CaseResult): string {
  if (words(a) === words(b)) return 'none';
  const at = a.floats.findIndex((value, i) => !Object.is(value, b.floats[i]));
  return at >= 0 ? `floats[${at}]: ${a.floats[at]} and ${b.floats[at]}` : 'ints, or the payload of a NaN';
}

/** The element farthest from the reference, where it is farther than the kernel's tolerance. */
export function farthest(
  test: BatteryCase,
  result: CaseResult,
  reference: CaseResult,
  isFused: boolean,
): string {
  if (String(reference.ints) !== String(result.ints)) return 'ints differ';
  let worst = { units: 0, text: 'none' };
  result.floats.forEach((value, i) => {
    const exact = reference.floats[i]!;
    const units = Object.is(value, exact)
      ? 0
      : (Math.abs(value - exact) / Math.max(1, Math.abs(exact))) * 2 ** 24;
    if (!(units <= worst.units))
      worst = { units, text: `floats[${i}]: ${value}, not ${exact}; ${units} units` };
  });
  return worst.units <= toleranceOf(test.kernel, isFused) ? 'none' : worst.text;
}
