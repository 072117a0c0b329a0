// The figures of a machine that the benches are measured against, and how they print. Pure.

import { numberOf } from '../processes/json-lines.ts';
import { formatTable } from '../report/table.ts';

export const peakNames = ['avx512', 'avx2', 'simd128'] as const;
export type PeakName = (typeof peakNames)[number];

export interface Limits {
  /** Fused multiply-adds in registers, GFLOPS a core with one thread and with two; empty without a C compiler. */
  readonly peaks: Partial<Record<PeakName, { readonly one: number; readonly two: number }>>;
  /** Copied GB/s, all threads together; null without a C compiler. */
  readonly copy: { readonly one: number; readonly two: number } | null;
  /** TCP between two Node.js processes, one way; and the round trip of one byte. */
  readonly loopback: { readonly gigabytesPerSecond: number; readonly roundTripMs: number };
  /** Why something is not there. */
  readonly notice: string | null;
}

/** From the lines of the C program. */
export function limitsOfLines(lines: readonly Record<string, unknown>[]): Pick<Limits, 'peaks' | 'copy'> {
  const of = (limit: string, threads: number, isa?: string): Record<string, unknown> | undefined =>
    lines.find((line) => line.limit === limit && line.threads === threads && line.isa === isa);
  const pair = (limit: string, field: string, isa?: string): { one: number; two: number } | null => {
    const [one, two] = [of(limit, 1, isa), of(limit, 2, isa)];
    return one && two ? { one: numberOf(one, field), two: numberOf(two, field) } : null;
  };
  const peaks = peakNames.flatMap((isa) => {
    const peak = pair('fma', 'gflopsPerCore', isa);
    return peak ? [[isa, peak] as const] : [];
  });
  return { peaks: Object.fromEntries(peaks), copy: pair('copy', 'gigabytesPerSecond') };
}

/** GFLOPS of `cores` cores at full multiply-add rate, in the widest vectors there are; null where not measured. */
export function machinePeak({ peaks }: Limits, cores: 1 | 2): number | null {
  const name = peakNames.find((isa) => peaks[isa]);
  const peak = name === undefined ? undefined : peaks[name];
  if (!peak) return null;
  return cores === 1 ? peak.one : 2 * peak.two;
}

export function limitsTable(limits: Limits): string {
  const { peaks, copy, loopback, notice } = limits;
  const columns = [
    { title: 'limit' },
    { title: '1 thread', digits: 1 },
    { title: '2 threads', digits: 1 },
    { title: 'unit' },
  ];
  const rows = [
    ...peakNames.flatMap((isa) => {
      const peak = peaks[isa];
      return peak ? [[`FMA ${isa}`, peak.one, peak.two, 'GFLOPS a core']] : [];
    }),
    ...(copy ? [['memory copy', copy.one, copy.two, 'GB/s copied, all threads']] : []),
    ['loopback TCP', loopback.gigabytesPerSecond, null, 'GB/s one way, Node.js to Node.js'],
    ['loopback round trip', loopback.roundTripMs * 1000, null, 'microseconds, 1 byte'],
  ];
  return formatTable(columns, rows) + (notice === null ? '' : `${notice}\n`);
}
