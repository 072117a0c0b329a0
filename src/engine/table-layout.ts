// Where the arrays of a step table lie, in elements from the table's start. The fixed fields are step-table.ts's.

import { resultsHeader, stepTableFields } from '../kernels/step-table.ts';

export interface TableLayout {
  readonly laneRows: number;
  readonly shardRows: number;
  readonly merges: number;
  readonly globalMerges: number;
  readonly sampleIds: number;
  readonly results: number;
  /** Elements of the whole table, a multiple of 16. */
  readonly size: number;
}

export interface TableCounts {
  readonly lanes: number;
  /** Own shards. */
  readonly ownShards: number;
  /** Shards of the run. */
  readonly shards: number;
  readonly globalNodes: number;
  readonly rowsMax: number;
  readonly reports: number;
}

export function tableLayout(counts: TableCounts): TableLayout {
  let end = aligned(stepTableFields.length);
  const take = (size: number): number => {
    const offset = end;
    end += aligned(size);
    return offset;
  };
  const laneRows = take(counts.lanes + 1);
  const shardRows = take(counts.ownShards + 1);
  const merges = take(counts.ownShards);
  const globalMerges = take(counts.globalNodes);
  const sampleIds = take(counts.rowsMax);
  const results = take(resultsHeader + counts.shards * counts.reports);
  return { laneRows, shardRows, merges, globalMerges, sampleIds, results, size: end };
}

function aligned(size: number): number {
  return Math.ceil(size / 16) * 16;
}
