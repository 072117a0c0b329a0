// I/O: how much memory this process may have: that of the machine, or of the control group (container) it is in.

import { constants } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import type { MachineMemory } from '../engine/memory-budget.ts';

export function machineMemory(): MachineMemory {
  const total = totalmem();
  const limit = process.constrainedMemory();
  // Without a limit it says 0, or a number beyond any machine.
  const isLimited = limit > 0 && limit < total;
  // What other systems call free leaves out what they would give back at once.
  const free = process.platform === 'linux' ? freemem() : total;
  const left = isLimited ? process.availableMemory() + reclaimableBytes(readText) : free;
  return {
    totalBytes: isLimited ? limit : total,
    availableBytes: Math.min(free, left, total),
    isLimited,
    bufferBytesMax: constants.MAX_LENGTH,
  };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Cached pages of files count as used by a control group, but are given back where memory is needed. */
export function reclaimableBytes(read: (path: string) => string | null): number {
  const groups = read('/proc/self/cgroup') ?? '';
  const pathOf = (pattern: RegExp): string => (pattern.exec(groups)?.[1] ?? '/').replace(/\/$/, '');
  const version1 = pathOf(/^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.*)$/m);
  const version2 = pathOf(/^0::(.*)$/m);
  // Inside of a container the group's own directory is mounted at the root.
  const candidates = [
    `/sys/fs/cgroup/memory${version1}/memory.stat`,
    '/sys/fs/cgroup/memory/memory.stat',
    `/sys/fs/cgroup${version2}/memory.stat`,
    '/sys/fs/cgroup/memory.stat',
  ];
  for (const path of candidates) {
    const stat = read(path);
    if (stat === null) continue;
    const field = (name: string): number => {
      const found = new RegExp(`^(?:total_)?${name} (\\d+)$`, 'gm');
      return Math.max(0, ...[...stat.matchAll(found)].map((match) => Number(match[1])));
    };
    return field('inactive_file') + field('active_file');
  }
  return 0;
}
