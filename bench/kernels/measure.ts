// The kernel bench: a process for each instruction set that this machine has (I/O).

import { join } from 'node:path';
import { packageRoot } from '../../src/platform/package-root.ts';
import type { Limits, PeakName } from '../limits/limits.ts';
import { numberOf } from '../processes/json-lines.ts';
import { type Command, runForLines } from '../processes/run.ts';
import type { Workload } from '../workloads.ts';
import type { KernelResult } from './report.ts';

/** Relaxed SIMD needs Node.js 22: a newer one is taken from the registry where this one is older. */
const newerNode: Command = { file: 'npx', args: ['--yes', '--package=node@24', 'node'] };
const relaxedNodeMajor = 22;
/** Fused relaxed SIMD is 128 bits wide, whatever the processor has. */
const variants = { avx512: 'avx512', avx2: 'avx2', relaxed: 'simd128' } as const satisfies Record<
  string,
  PeakName
>;
type Variant = keyof typeof variants;

export interface KernelBench {
  readonly results: readonly KernelResult[];
  /** What could not be measured, and why. */
  readonly notices: readonly string[];
}

export async function measureKernels(
  workloads: readonly Workload[],
  limits: Limits,
  isas: readonly string[],
): Promise<KernelBench> {
  const results: KernelResult[] = [];
  const notices: string[] = [];
  for (const variant of Object.keys(variants) as Variant[]) {
    if (isas.length > 0 && !isas.includes(variant)) continue;
    const peak = limits.peaks[variants[variant]]?.one ?? null;
    try {
      const lines = await runForLines(command(variant, workloads));
      results.push(...lines.map((line) => resultOf(line, variant, peak)));
    } catch (error) {
      notices.push(`${variant} is not measured: ${(error as Error).message}`);
    }
  }
  return { results, notices };
}

function command(variant: Variant, workloads: readonly Workload[]): Command {
  const child = join(packageRoot(), 'dist/bench/kernels/child.js');
  const args = [child, variant, ...workloads.map(({ config }) => config.name)];
  const major = Number(process.versions.node.split('.')[0]);
  const node =
    variant === 'relaxed' && major < relaxedNodeMajor ? newerNode : { file: process.execPath, args: [] };
  return { file: node.file, args: [...node.args, ...args] };
}

function resultOf(line: Record<string, unknown>, variant: string, peak: number | null): KernelResult {
  const gflops = numberOf(line, 'gflops');
  return {
    workload: String(line.workload),
    variant,
    kernel: String(line.kernel),
    shape: String(line.shape),
    ms: numberOf(line, 'ms'),
    gflops,
    peakShare: peak === null ? null : gflops / peak,
  };
}
