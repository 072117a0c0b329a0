// From the times of a profile to its tables. Pure.

import { mean, quantile } from '../report/statistics.ts';
import { type Cell, formatTable } from '../report/table.ts';
import type { Profile } from './measure.ts';

/** The time that counts is the tenth in a hundred, so that other programs of the machine do not. */
export const countedQuantile = 0.1;
/** The first steps find cold caches and untouched pages. */
const warmUpShare = 0.25;

export interface ProfileRow {
  readonly kernel: string;
  readonly subject: string;
  /** Milliseconds of each lane. */
  readonly laneMs: readonly number[];
  /** Mean over the lanes; the rows of a step add up to the step. */
  readonly ms: number;
  readonly flops: number;
  readonly bytes: number;
}

/** One row for the taking of the samples, one for each instruction. */
export function profileRows({ instructions, lanes, times }: Profile): ProfileRow[] {
  const steps = times[0]!.length;
  const first = Math.floor(steps * warmUpShare);
  const gather = { kernel: 'gather', subject: 'samples', flops: 0, bytes: 0 };
  return [gather, ...instructions].map(({ kernel, subject, flops, bytes }, column) => {
    const laneMs = Array.from({ length: lanes }, (_, lane) => {
      const ofSteps = times[lane]!.slice(first).map((row) => row[column]!);
      return quantile(ofSteps, countedQuantile);
    });
    return { kernel, subject, laneMs, ms: mean(laneMs), flops, bytes };
  });
}

/** Below this a time says nothing about a rate. */
const shortestMs = 0.002;

/** Rates are of one core: what an instruction has to do, by the time all lanes spent on it. */
function rates({ laneMs, flops, bytes }: ProfileRow): [number | null, number | null] {
  const spentMs = laneMs.reduce((sum, ms) => sum + ms, 0);
  const rate = (amount: number): number | null =>
    amount === 0 || spentMs < shortestMs ? null : amount / spentMs / 1e6;
  return [rate(flops), flops === 0 ? rate(bytes) : null];
}

export function instructionTable(rows: readonly ProfileRow[]): string {
  const stepMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const lanes = rows[0]!.laneMs.length;
  const columns = [
    { title: 'kernel' },
    { title: 'tensor' },
    ...Array.from({ length: lanes }, (_, lane) => ({ title: `lane ${lane} ms`, digits: 3 })),
    { title: 'share %', digits: 1 },
    { title: 'GFLOPS/core', digits: 1 },
    { title: 'GB/s/core', digits: 1 },
  ];
  const cells = rows.map((row): Cell[] => [
    row.kernel,
    row.subject,
    ...row.laneMs,
    (100 * row.ms) / stepMs,
    ...rates(row),
  ]);
  return formatTable(columns, cells);
}

/** The rows of one kernel added up, the dearest first. */
export function kernelTable(rows: readonly ProfileRow[]): string {
  const stepMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const sums = new Map<string, ProfileRow & { readonly calls: number }>();
  for (const row of rows) {
    const sum = sums.get(row.kernel);
    const add = (a: number, b: number | undefined): number => a + (b ?? 0);
    sums.set(row.kernel, {
      kernel: row.kernel,
      subject: '',
      calls: add(1, sum?.calls),
      ms: add(row.ms, sum?.ms),
      laneMs: row.laneMs.map((ms, lane) => add(ms, sum?.laneMs[lane])),
      flops: add(row.flops, sum?.flops),
      bytes: add(row.bytes, sum?.bytes),
    });
  }
  const columns = [
    { title: 'kernel' },
    { title: 'calls' },
    { title: 'ms', digits: 3 },
    { title: 'share %', digits: 1 },
    { title: 'GFLOPS/core', digits: 1 },
    { title: 'GB/s/core', digits: 1 },
  ];
  const cells = [...sums.values()]
    .sort((a, b) => b.ms - a.ms)
    .map((row): Cell[] => [row.kernel, row.calls, row.ms, (100 * row.ms) / stepMs, ...rates(row)]);
  return formatTable(columns, cells);
}
