// The cost of checkpoints as a table. Pure.

import { type Cell, formatTable } from '../report/table.ts';

export interface CheckpointResult {
  readonly workload: string;
  readonly workers: number;
  /** A checkpoint after each, but for the last: that one is written in both runs. */
  readonly epochs: number;
  /** Of a checkpoint. */
  readonly megabytes: number;
  /** The run without checkpoints, from its first step to its end. */
  readonly seconds: number;
  /** Of the wall time: 0.01 is one per cent more. Median of the pairs. */
  readonly overhead: number;
  /** Of each pair. */
  readonly overheads: readonly number[];
}

export function checkpointsTable(results: readonly CheckpointResult[]): string {
  const columns = [
    { title: 'workload' },
    { title: 'workers' },
    { title: 'epochs' },
    { title: 'MB each', digits: 2 },
    { title: 'run s', digits: 2 },
    { title: 'overhead %', digits: 2 },
    { title: 'least %', digits: 2 },
    { title: 'most %', digits: 2 },
  ];
  const rows = results.map((result): Cell[] => {
    const { workload, workers, epochs, megabytes, seconds, overhead, overheads } = result;
    const range = [100 * Math.min(...overheads), 100 * Math.max(...overheads)];
    return [workload, workers, epochs, megabytes, seconds, 100 * overhead, ...range];
  });
  return formatTable(columns, rows);
}
