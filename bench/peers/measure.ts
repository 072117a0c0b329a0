// Runs ours and the peers' in turn on the same workload (I/O): A B A B, so that both meet the same machine.

import { numberOf } from '../processes/json-lines.ts';
import { runForLines } from '../processes/run.ts';
import { clusterShapes, measureSteps } from '../steps/measure.ts';
import type { Workload } from '../workloads.ts';
import { type Peer, peersOf } from './commands.ts';
import type { PeerRound } from './report.ts';

export interface PeerBench {
  readonly rounds: readonly PeerRound[];
  readonly notices: readonly string[];
}

export interface PeerOptions {
  /** Where the peers' scripts are. */
  readonly directory: string;
  readonly python: string;
  readonly rounds: number;
  readonly onProgress: (what: string) => void;
}

export async function measurePeers(workloads: readonly Workload[], options: PeerOptions): Promise<PeerBench> {
  const rounds: PeerRound[] = [];
  const notices = new Set<string>();
  for (const workload of workloads) {
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const kind of ['single', 'pair'] as const) {
        const shape = clusterShapes[kind];
        const { name, batch } = workload.config;
        const peers = peersOf(options.directory, options.python, workload.family, batch);
        for (const peer of peers.filter((other) => other.kind === kind)) {
          options.onProgress(`${name}, round ${round}: ${shape.name}, ${peer.name}`);
          try {
            const ours = await measureSteps(workload, shape);
            const theirs = await measurePeer(peer);
            const { name: peerName, localBatchNorm } = peer;
            rounds.push({
              workload: name,
              cluster: shape.name,
              peer: peerName,
              localBatchNorm,
              ours,
              theirs,
            });
          } catch (error) {
            notices.add(`${name}, ${shape.name} beside ${peer.name}: ${(error as Error).message}`);
          }
        }
      }
    }
  }
  return { rounds, notices: [...notices] };
}

/** Samples a second; each script prints the median of its steps. */
async function measurePeer({ command }: Peer): Promise<number> {
  const [line] = await runForLines(command);
  if (line === undefined) throw new Error(`${command.args.join(' ')} printed no result`);
  return numberOf(line, 'samples_per_s');
}
