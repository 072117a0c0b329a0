// What a case of the battery is: one kernel, one step's layout of rows and shards, and the blocks of memory it reads and
// writes. Data only; battery-run.ts runs it, battery-*.ts list the cases.

import { leaves, mergeSchedule, shardStart, wholeNodes } from '../numerics/tree.ts';
import type { ArgumentKind, KernelName, kernels } from './kernel-list.ts';

/** The rows and shards of one worker in one step, and the schedules that follow from them. */
export interface StepLayout {
  /** Samples of the global batch, and shards of the run. */
  readonly batch: number;
  readonly shards: number;
  readonly firstShard: number;
  /** First row of every own shard, and the number of rows. */
  readonly shardRows: readonly number[];
  readonly rows: number;
  readonly ownShards: number;
  readonly ownNodes: number;
  readonly nodeStart: number;
  readonly globalNodes: number;
  readonly merges: readonly number[];
  readonly globalMerges: readonly number[];
}

/** Worker `worker` of those whose first shards are `boundaries` (with the end); alone unless said. */
export function stepLayout(batch: number, shards: number, boundaries = [0, shards], worker = 0): StepLayout {
  const nodesOf = (rank: number) => wholeNodes(boundaries[rank]!, boundaries[rank + 1]!, shards);
  const ranks = boundaries.slice(1).map((_, rank) => rank);
  const firstShard = boundaries[worker]!;
  const own = leaves(firstShard, boundaries[worker + 1]!);
  const firstRow = shardStart(firstShard, batch, shards);
  const shardRows = [firstShard, ...own.map((node) => node.hi)].map(
    (s) => shardStart(s, batch, shards) - firstRow,
  );
  const gathered = ranks.flatMap(nodesOf);
  return {
    batch,
    shards,
    firstShard,
    shardRows,
    rows: shardRows.at(-1)!,
    ownShards: own.length,
    ownNodes: nodesOf(worker).length,
    nodeStart: ranks.slice(0, worker).flatMap(nodesOf).length,
    globalNodes: gathered.length,
    merges: mergeSchedule(own, shards),
    globalMerges: mergeSchedule(gathered, shards),
  };
}

/** The shapes a step can have: each kernel meets those that matter to it. */
export const layouts = {
  one: stepLayout(1, 1),
  even: stepLayout(16, 4),
  uneven: stepLayout(13, 8),
  /** Fewer samples than shards: some are empty. */
  few: stepLayout(3, 8),
  large: stepLayout(50, 5),
  /** A deep tree that is not a power of two. */
  many: stepLayout(45, 37),
  /** The second of three workers; its shards 2 .. 4 make two nodes. */
  middle: stepLayout(29, 8, [0, 2, 5, 8], 1),
  /** Five of eight shards, some of them empty. */
  sparse: stepLayout(5, 8, [0, 3, 8], 1),
  /** A worker without a shard. */
  idle: stepLayout(9, 4, [0, 4, 4], 1),
} as const;

/** Value of element i, given a number in [0, 1) drawn for it. Rounded to float32 when written. */
export type Contents = (u: number, i: number) => number;

/** A run of floats or ints in the arena. The same block given twice is the same memory. */
export interface Block {
  /** update: read and written */
  readonly role: 'input' | 'output' | 'update';
  readonly size: number;
  readonly contents: Contents;
}

export const signed: Contents = (u) => 2 * u - 1;
export const positive: Contents = (u) => u + 0.125;
/** What a relu lets through: half zeros. */
export const rectified: Contents = (u) => (u < 0.5 ? 0 : u);
/** Zeros of both signs, subnormal numbers, and sizes at which exp overflows. */
export const edges: Contents = (u) => {
  if (u < 0.05) return u < 0.025 ? 0 : -0;
  if (u < 0.1) return u < 0.075 ? 1e-40 : -1e-40;
  return u < 0.2 ? (u - 0.15) * 4000 : (u - 0.6) * 20;
};
export const classIndex =
  (classes: number): Contents =>
  (u) =>
    Math.floor(u * classes);
/** Moments records [count, mean[], m2[]] of up to 8 samples; some are empty. */
export const momentsRecords =
  (channels: number): Contents =>
  (u, i) => {
    const record = Math.floor(i / (1 + 2 * channels));
    const place = i % (1 + 2 * channels);
    const count = (record * 5 + 3) % 8;
    if (place === 0 || count === 0) return count;
    return place <= channels ? 4 * u - 2 : u * count;
  };

export function input(size: number, contents: Contents = signed): Block {
  return { role: 'input', size, contents };
}

export function output(size: number): Block {
  return { role: 'output', size, contents: () => 0 };
}

export function update(size: number, contents: Contents = signed): Block {
  return { role: 'update', size, contents };
}

type CaseArgument<A extends ArgumentKind> = A extends 'f' | 'i' ? Block | null : number;
type KindsOf<K extends KernelName> = (typeof kernels)[K]['args'];
export type CaseArguments<K extends KernelName> = {
  readonly [A in keyof KindsOf<K>]: KindsOf<K>[A] extends ArgumentKind ? CaseArgument<KindsOf<K>[A]> : never;
};

/** Kernels that also write the results of the step. */
export const resultKernels: ReadonlySet<KernelName> = new Set<KernelName>(['shardSums', 'clipFactor']);

interface CaseOptions {
  /** It cannot be run lane after lane: always one lane. */
  readonly oneLane?: boolean;
}

export interface BatteryCase<K extends KernelName = KernelName> extends CaseOptions {
  readonly kernel: K;
  /** What is special about it: 'middle 33 x 70 relu'. Unique within a kernel. */
  readonly name: string;
  readonly layout: StepLayout;
  readonly args: Readonly<Record<string, Block | number | null>>;
}

export type LayoutName = keyof typeof layouts;

/** A layout that is not in the table. */
export interface NamedLayout {
  readonly name: string;
  readonly layout: StepLayout;
}

/** Types check the arguments of the kernel; the case keeps them by name. */
export function batteryCase<K extends KernelName>(
  kernel: K,
  name: string,
  place: LayoutName | NamedLayout,
  args: CaseArguments<K>,
  options: CaseOptions = {},
): BatteryCase<K> {
  const { name: where, layout } = typeof place === 'string' ? { name: place, layout: layouts[place] } : place;
  return { kernel, name: `${where} ${name}`, layout, args, ...options };
}

/** Elements of all blocks of a case. */
export function caseSize(test: BatteryCase): number {
  const blocks = Object.values(test.args).filter((value) => typeof value === 'object' && value !== null);
  return blocks.reduce((sum, block) => sum + block.size, 0);
}
