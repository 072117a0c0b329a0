// How the peers' scripts are run: PyTorch in one process with the settings that make it fastest, and DDP over gloo. Pure.

import { join } from 'node:path';
import type { Command } from '../processes/run.ts';

/** What ours is compared with: one process of two threads, or two processes of one thread. */
export type PeerKind = 'single' | 'pair';

export interface Peer {
  readonly kind: PeerKind;
  /** As tables name it. */
  readonly name: string;
  readonly command: Command;
  /** Its batch norm takes the statistics of each process alone: less work than ours, and another result. */
  readonly localBatchNorm: boolean;
}

/** Fewer page faults, and threads that sleep: PyTorch is up to 2.2 times faster with it. */
function tuned(threads: number): Record<string, string> {
  return {
    OMP_NUM_THREADS: `${threads}`,
    OPENBLAS_NUM_THREADS: `${threads}`,
    OMP_WAIT_POLICY: 'PASSIVE',
    MALLOC_MMAP_THRESHOLD_: '1073741824',
    MALLOC_TRIM_THRESHOLD_: '1073741824',
  };
}

const hasConvolutions = (family: string): boolean => family === 'W2' || family === 'W3';
const hasBatchNorm = (family: string): boolean => family === 'W3';

/** The peers of one workload; `directory` holds torch_single.py and torch_ddp.py. */
export function peersOf(directory: string, python: string, family: string, batch: number): Peer[] {
  const only = ['--only', `${family}:${batch}`];
  const peer = (
    kind: PeerKind,
    name: string,
    script: string,
    args: string[],
    env: Record<string, string>,
  ): Peer => ({
    kind,
    name,
    command: { file: python, args: [join(directory, script), ...args], env },
    localBatchNorm: kind === 'pair' && hasBatchNorm(family) && !args.includes('--syncbn'),
  });
  const single = (threads: number, ...flags: string[]): Peer => {
    const name = `PyTorch, ${threads} ${threads === 1 ? 'thread' : 'threads'}${flags.length > 0 ? ', channels last' : ''}`;
    return peer(
      'single',
      name,
      'torch_single.py',
      ['--threads', `${threads}`, ...flags, ...only],
      tuned(threads),
    );
  };
  return [
    single(1),
    single(2),
    ...(hasConvolutions(family) ? [single(2, '--channels-last')] : []),
    peer('pair', 'PyTorch DDP, 2 processes', 'torch_ddp.py', ['--procs', '2', ...only], {}),
    ...(hasBatchNorm(family)
      ? [
          peer(
            'pair',
            'PyTorch DDP, synchronised batch norm',
            'torch_ddp.py',
            ['--procs', '2', '--syncbn'],
            {},
          ),
        ]
      : []),
  ];
}
