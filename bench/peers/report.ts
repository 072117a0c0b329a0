// Ours beside the peers': rounds measured in turn, ratios within each round. Pure.

import { median } from '../report/statistics.ts';
import { type Cell, formatTable } from '../report/table.ts';

/** Samples a second of ours and of one peer, one after the other. */
export interface PeerRound {
  readonly workload: string;
  readonly cluster: string;
  readonly peer: string;
  readonly localBatchNorm: boolean;
  readonly ours: number;
  readonly theirs: number;
}

export interface PeerResult {
  readonly workload: string;
  readonly cluster: string;
  readonly peer: string;
  readonly localBatchNorm: boolean;
  /** Medians over the rounds. */
  readonly ours: number;
  readonly theirs: number;
  /** Median of ours through theirs, round by round: what a drift of the machine does not touch. */
  readonly ratio: number;
  /** No other peer of this workload and cluster is faster. */
  readonly best: boolean;
}

export function peerResults(rounds: readonly PeerRound[]): PeerResult[] {
  const groups = new Map<string, PeerRound[]>();
  for (const round of rounds) {
    const key = `${round.workload} ${round.cluster} ${round.peer}`;
    groups.set(key, [...(groups.get(key) ?? []), round]);
  }
  const results = [...groups.values()].map((group) => {
    const { workload, cluster, peer, localBatchNorm } = group[0]!;
    return {
      workload,
      cluster,
      peer,
      localBatchNorm,
      ours: median(group.map(({ ours }) => ours)),
      theirs: median(group.map(({ theirs }) => theirs)),
      ratio: median(group.map(({ ours, theirs }) => ours / theirs)),
    };
  });
  return results.map((result) => ({
    ...result,
    best: results.every(
      ({ workload, cluster, ratio }) =>
        workload !== result.workload || cluster !== result.cluster || ratio >= result.ratio,
    ),
  }));
}

export function peersTable(results: readonly PeerResult[]): string {
  const columns = [
    { title: 'workload' },
    { title: 'ours' },
    { title: 'samples/s' },
    { title: 'peer' },
    { title: 'samples/s' },
    { title: 'ours / theirs', digits: 2 },
    { title: '' },
  ];
  const rows = results.map(
    ({ workload, cluster, ours, peer, theirs, ratio, best, localBatchNorm }): Cell[] => [
      workload,
      cluster,
      ours,
      localBatchNorm ? `${peer} (local batch norm)` : peer,
      theirs,
      ratio,
      best ? 'its best' : '',
    ],
  );
  return formatTable(columns, rows);
}
