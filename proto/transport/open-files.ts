// How many descriptors this process may have open (I/O), and what connections may take of them. Connections must leave
// enough for the files and threads of the process: a journal that cannot be opened ends a run.

import { readFileSync } from 'node:fs';
import { limits } from '../limits.ts';

/** Null where the system has no such limit, or does not say. Node raises the soft limit to the hard one when it starts. */
export function openFilesMax(): number | null {
  try {
    const found = /^Max open files +(\d+|unlimited)/m.exec(
      readFileSync('/proc/self/limits').toString('latin1'),
    );
    if (found !== null) return found[1] === 'unlimited' ? null : Number(found[1]);
  } catch {
    // Not Linux.
  }
  if (process.platform === 'win32') return null;
  // Without the network part, which would look up the names of addresses.
  const { report } = process as unknown as { report?: { excludeNetwork: boolean; getReport(): unknown } };
  if (report === undefined) return null;
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
  report.excludeNetwork = before;
  const soft = Number(userLimits?.open_files?.soft);
  return Number.isSafeInteger(soft) && soft > 0 ? soft : null;
}

export interface ConnectionShares {
  /** Of those that have not been let in. */
  readonly pending: number;
  /** Of those that have. */
  readonly open: number;
}

/**
 * What connections may take of `filesMax` descriptors where the process has `threads` threads and child processes: strangers a
 * third at most of what its own files leave. Null where that is too little.
 */
export function connectionShares(filesMax: number | null, threads: number): ConnectionShares | null {
  const { pendingSocketsMax, pendingSocketsMin, openSocketsMax } = limits;
  const left = (filesMax ?? Number.POSITIVE_INFINITY) - ownFiles(threads);
  const pending = Math.min(pendingSocketsMax, Math.floor(left / 3));
  return pending < pendingSocketsMin ? null : { pending, open: Math.min(openSocketsMax, left - pending) };
}

/** Descriptors that a process needs apart from its connections. */
export function ownFiles(threads: number): number {
  return limits.ownFiles + limits.filesOfThread * threads;
}
