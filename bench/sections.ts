// The sections of the bench, one after the other: each measures, prints its table and adds its figures (I/O).

import { cpus } from 'node:os';
import { packageVersion } from '../src/platform/package-root.ts';
import { type AllReduceRow, benchAllReduce } from './all-reduce/bench.ts';
import { measureCheckpoints } from './checkpoints/measure.ts';
import { type CheckpointResult, checkpointsTable } from './checkpoints/report.ts';
import { measureKernels } from './kernels/measure.ts';
import { type KernelResult, kernelsTable } from './kernels/report.ts';
import { type Limits, limitsTable, machinePeak } from './limits/limits.ts';
import { measureLimits } from './limits/measure.ts';
import { measurePeers } from './peers/measure.ts';
import { type PeerResult, peerResults, peersTable } from './peers/report.ts';
import { formatTable } from './report/table.ts';
import { clusterShapes, measureSteps } from './steps/measure.ts';
import { type StepResult, stepsTable } from './steps/report.ts';
import { loadWorkloads, type Workload } from './workloads.ts';

export const sectionNames = ['limits', 'kernels', 'steps', 'all-reduce', 'peers', 'checkpoints'] as const;
export type SectionName = (typeof sectionNames)[number];

export interface BenchOptions {
  /** All unless given, but for checkpoints, which take long; peers need a directory. */
  readonly only?: readonly SectionName[];
  readonly workload: readonly string[];
  readonly isa: readonly string[];
  /** Directory of the peers' scripts. */
  readonly peers?: string;
  readonly rounds: number;
  readonly print: (text: string) => void;
}

export interface BenchFigures {
  readonly machine: { readonly cpu: string; readonly node: string; readonly lockstep: string };
  limits?: Limits;
  kernels?: readonly KernelResult[];
  steps?: readonly StepResult[];
  allReduce?: readonly AllReduceRow[];
  peers?: readonly PeerResult[];
  checkpoints?: readonly CheckpointResult[];
}

export async function runSections(options: BenchOptions): Promise<BenchFigures> {
  const { only, print } = options;
  const wants = (section: SectionName): boolean => only?.includes(section) ?? true;
  const workloads = await loadWorkloads(options.workload);
  const figures: BenchFigures = {
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      node: process.version,
      lockstep: packageVersion(),
    },
  };
  const heading = (text: string): void => print(`\n${text}\n${'-'.repeat(text.length)}\n`);
  heading('Limits of this machine');
  const limits = await measureLimits();
  figures.limits = limits;
  print(limitsTable(limits));
  if (wants('kernels')) {
    heading('Dense and convolution kernels on one core');
    const { results, notices } = await measureKernels(workloads, limits, options.isa);
    figures.kernels = results;
    print(kernelsTable(results) + linesOf(notices));
  }
  if (wants('steps')) {
    heading('Whole training steps');
    const { results, notices } = await benchSteps(workloads, limits);
    figures.steps = results;
    print(stepsTable(results) + linesOf(notices));
  }
  if (wants('all-reduce')) {
    heading('All-reduce');
    figures.allReduce = await benchAllReduce();
    print(allReduceTable(figures.allReduce));
  }
  if (only?.includes('checkpoints')) {
    heading('The cost of checkpoints');
    const onProgress = (what: string): void => void process.stderr.write(`${what}\n`);
    figures.checkpoints = await measureCheckpoints(options.workload, onProgress);
    print(checkpointsTable(figures.checkpoints));
  }
  if (wants('peers') && options.peers !== undefined) {
    heading('Beside PyTorch');
    const { rounds, notices } = await measurePeers(workloads, {
      directory: options.peers,
      python: process.env.PYTHON ?? '/usr/bin/python3',
      rounds: options.rounds,
      onProgress: (what) => void process.stderr.write(`${what}\n`),
    });
    figures.peers = peerResults(rounds);
    print(peersTable(figures.peers) + linesOf(notices));
  }
  return figures;
}

const linesOf = (notices: readonly string[]): string => notices.map((notice) => `${notice}\n`).join('');

async function benchSteps(
  workloads: readonly Workload[],
  limits: Limits,
): Promise<{ results: StepResult[]; notices: string[] }> {
  const peak = machinePeak(limits, 2);
  const results: StepResult[] = [];
  const notices: string[] = [];
  for (const workload of workloads) {
    const { name, batch } = workload.config;
    for (const shape of Object.values(clusterShapes)) {
      try {
        const samplesPerSecond = await measureSteps(workload, shape);
        const gflops = (samplesPerSecond * workload.flopsPerSample) / 1e9;
        const peakShare = peak === null ? null : gflops / peak;
        results.push({ workload: name, batch, cluster: shape.name, samplesPerSecond, gflops, peakShare });
      } catch (error) {
        notices.push(`${name}, ${shape.name}: ${(error as Error).message}`);
      }
    }
  }
  return { results, notices };
}

function allReduceTable(rows: readonly AllReduceRow[]): string {
  const columns = [
    { title: 'all-reduce' },
    { title: 'processes' },
    { title: 'ms', digits: 3 },
    { title: 'bus GB/s', digits: 2 },
    { title: 'gloo ms', digits: 3 },
    { title: 'gloo bus GB/s', digits: 2 },
    { title: 'gloo time / ours', digits: 2 },
  ];
  const cells = rows.map((row) => [
    row.workload.replace('all-reduce ', ''),
    row.processes,
    row.ms,
    row.busGigabytesPerSecond,
    row.glooMs,
    row.glooBusGigabytesPerSecond,
    row.ratio,
  ]);
  return formatTable(columns, cells);
}
