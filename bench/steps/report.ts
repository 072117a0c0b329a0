// Whole training steps as a table. Pure.

import { type Cell, formatTable } from '../report/table.ts';

export interface StepResult {
  readonly workload: string;
  readonly batch: number;
  /** 1 worker x 2 threads, 2 workers x 1 thread. */
  readonly cluster: string;
  readonly samplesPerSecond: number;
  readonly gflops: number;
  /** Of two cores' multiply-add peak; null where that is not known. */
  readonly peakShare: number | null;
}

export function stepsTable(results: readonly StepResult[]): string {
  const columns = [
    { title: 'workload' },
    { title: 'cluster' },
    { title: 'samples/s' },
    { title: 'step ms', digits: 2 },
    { title: 'GFLOPS', digits: 1 },
    { title: '% of 2 cores' },
  ];
  const rows = results.map((result): Cell[] => {
    const { workload, cluster, samplesPerSecond, batch, gflops, peakShare } = result;
    const stepMs = (1000 * batch) / samplesPerSecond;
    return [workload, cluster, samplesPerSecond, stepMs, gflops, peakShare === null ? null : 100 * peakShare];
  });
  return formatTable(columns, rows);
}
