// Which process a number means (I/O): numbers are given again, so the time of its start goes with it where the system tells
// it (Linux: /proc). Written into lock.ts's file; it decides nothing about locks.

import { readFileSync } from 'node:fs';

export interface ProcessMark {
  readonly pid: number;
  /** When it started, in the system's own words; null where that is not known. */
  readonly start: string | null;
}

export const ownMark = (): ProcessMark => ({ pid: process.pid, start: lookAt(process.pid)?.start ?? null });

export const markText = ({ pid, start }: ProcessMark): string =>
  start === null ? `${pid}\n` : `${pid} ${start}\n`;

/** Of any text: what is no mark is that of a process that never was. */
export function parseMark(text: string): ProcessMark {
  const [pid, start] = text.trim().split(' ');
  return { pid: Number(pid), start: start ?? null };
}

/**
 * Whether that process still runs; 'unknown': one of that number does, and may be another. A mark with this process's own
 * number and no start is from before: in a container the next one often has the number of the last.
 */
export function isRunning({ pid, start }: ProcessMark): boolean | 'unknown' {
  if (!Number.isInteger(pid) || pid <= 0 || !isThere(pid)) return false;
  const now = lookAt(pid);
  if (now?.hasEnded === true) return false;
  if (now !== null && start !== null) return now.start === start;
  return pid === process.pid ? false : 'unknown';
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Null where the system does not tell, or not us. See proc_pid_stat(5): the name, in brackets, may have brackets in it. */
function lookAt(pid: number): { readonly start: string; readonly hasEnded: boolean } | null {
  let stat: string;
  let boot: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`).toString('latin1');
    boot = readFileSync('/proc/sys/kernel/random/boot_id').toString('latin1').trim();
  } catch {
    return null;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const ticks = fields[19];
  if (ticks === undefined || boot === '') return null;
  // Its parent has not yet asked how it ended.
  return { start: `${ticks}@${boot}`, hasEnded: state === 'Z' || state === 'X' };
}
