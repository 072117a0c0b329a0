// Whole training steps as users run them (I/O): `lockstep train` on a workload until the rate is steady, then an end.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../src/platform/package-root.ts';
import type { Workload } from '../workloads.ts';
import { steadyRate, stepRates } from './events.ts';

export interface ClusterShape {
  /** As tables name it. */
  readonly name: string;
  /** 0: all in one process. */
  readonly workers: number;
  readonly threads: number;
  /** Steps that do not count. A worker alone does 16 in one task and tells of them together. */
  readonly warmUpSteps: number;
  /** Steps that do, at least. */
  readonly countedMin: number;
}

export const clusterShapes = {
  single: { name: '1 worker x 2 threads', workers: 0, threads: 2, warmUpSteps: 16, countedMin: 32 },
  pair: { name: '2 workers x 1 thread', workers: 2, threads: 1, warmUpSteps: 8, countedMin: 16 },
} as const satisfies Record<string, ClusterShape>;

const windowMs = 4000;
const timeoutMs = 180_000;
const unending = 100_000_000;

/** Samples a second: the median of the steps after the warm-up. Throws with the run's last line where it fails. */
export async function measureSteps(workload: Workload, shape: ClusterShape): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-bench-'));
  try {
    const config = join(directory, 'config.json');
    writeFileSync(config, unendingConfig(workload));
    const child = spawn(process.execPath, argumentsOf(config, directory, shape), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return steadyRate(await ratesOf(child, shape), shape.warmUpSteps);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The workload without an end, and without checkpoints on the way. */
function unendingConfig({ path }: Workload): string {
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  const { $schema: _, ...fields } = json;
  return JSON.stringify({ ...fields, steps: unending, checkpoint: { everySteps: unending } });
}

function argumentsOf(config: string, out: string, { workers, threads }: ClusterShape): string[] {
  const main = join(packageRoot(), 'dist/deploy/cli/main.js');
  return [
    main,
    'train',
    config,
    '--json',
    '--out',
    join(out, 'run'),
    '--workers',
    `${workers}`,
    '--threads',
    `${threads}`,
  ];
}

/** Listens until there are steps enough, then ends the run; its workers end with it. */
async function ratesOf(child: ChildProcess, { warmUpSteps, countedMin }: ClusterShape): Promise<number[]> {
  const rates: number[] = [];
  let partial = '';
  let errors = '';
  let warmSinceMs = 0;
  let enough = false;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    partial += text;
    const end = partial.lastIndexOf('\n') + 1;
    for (const rate of stepRates(partial.slice(0, end))) rates.push(rate);
    partial = partial.slice(end);
    if (rates.length > warmUpSteps) warmSinceMs ||= performance.now();
    const counted = rates.length - warmUpSteps;
    enough = counted >= countedMin && performance.now() - warmSinceMs >= windowMs;
    if (enough) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  if (enough) return rates;
  if (late) throw new Error(`only ${rates.length} steps in ${timeoutMs / 1000} s`);
  throw new Error(`the run ended early: ${errors.trim().split('\n').at(-1) ?? ''}`);
}
