// Samples a second from the step events of a run. Pure.

import { jsonLines } from '../processes/json-lines.ts';
import { median } from '../report/statistics.ts';

/** Step events in the lines of a run with --json: samples a second, in order. */
export function stepRates(text: string): number[] {
  return jsonLines(text).flatMap((record) =>
    record.event === 'step' && typeof record.samplesPerSecond === 'number' ? [record.samplesPerSecond] : [],
  );
}

/** The median after the first `warmUp` steps; NaN where there are no others. */
export function steadyRate(rates: readonly number[], warmUp: number): number {
  return median(rates.slice(warmUp));
}
