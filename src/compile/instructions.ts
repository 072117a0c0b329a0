// The lowered form of a program: kernel calls on named buffers whose places in the arena are not known yet, and the
// few other kinds of items between them. Every pass after lowering works on lists of these.

import { assert } from '../errors.ts';
import { type KernelName, kernels } from '../kernels/kernel-list.ts';

/** Memory with a name. Buffers that are not `permanent` live from their first to their last use. */
export interface Buffer {
  readonly name: string;
  /** Elements. */
  readonly size: number;
  /** Elements of one row where the buffer holds one slice a sample, else null. */
  readonly rowSize: number | null;
  readonly permanent: boolean;
}

/** A part of a buffer: `size` elements from `from`, or `count` such parts `stride` apart. */
export interface Reference {
  readonly buffer: Buffer;
  readonly from: number;
  readonly size: number;
  /** What the part is, where that is not the whole buffer. */
  readonly part?: string;
  readonly repeat?: { readonly count: number; readonly stride: number };
}

/** null: an absent pointer. */
export type Argument = number | Reference | null;

export type CallArguments<K extends KernelName> = Readonly<
  Record<keyof (typeof kernels)[K]['args'], Argument>
>;

/** One call of a kernel. */
export interface Call {
  readonly kind: 'kernel';
  readonly kernel: KernelName;
  readonly args: Readonly<Record<string, Argument>>;
}

export type Item =
  | Call
  /** The lanes copy the step's samples into the arena: each its own rows. */
  | { readonly kind: 'gather'; readonly writes: readonly Reference[] }
  /** The gradients of a bucket are complete in the own nodes. */
  | { readonly kind: 'emit'; readonly bucket: number; readonly reads: readonly Reference[] }
  /** The own gathered nodes are complete: the swap with the other workers starts; it ends at the next cut. */
  | { readonly kind: 'exchange'; readonly exchange: number; readonly region: Reference }
  /** The segment ends. */
  | { readonly kind: 'cut' }
  /** What follows runs only where the own losses, and the gradient's norm, are finite. */
  | { readonly kind: 'guard' }
  | { readonly kind: 'barrier' };

/** The arguments a kernel writes (or reads and writes); every other offset argument is only read. */
const written = {
  barrier: [],
  fill: ['out'],
  denseForward: ['y'],
  denseInputGradient: ['dx'],
  denseWeightGradient: ['dw'],
  columnSums: ['out'],
  convForward: ['y'],
  convInputGradient: ['dx'],
  convWeightGradient: ['dw'],
  maxPoolForward: ['y', 'choice'],
  maxPoolBackward: ['dx'],
  averagePoolForward: ['y'],
  averagePoolBackward: ['dx'],
  momentsLeaves: ['leaves'],
  momentsNodes: ['nodes'],
  momentsMerge: ['record'],
  momentsPrepare: ['mean', 'inverse'],
  momentsRunning: ['runningMean', 'runningVariance'],
  runningPrepare: ['mean', 'inverse'],
  normalizeForward: ['y'],
  normalizeSums: ['leaves'],
  normalizeBackward: ['dx'],
  sumNodes: ['out'],
  sumMerge: ['out'],
  unaryForward: ['y'],
  unaryBackward: ['dx'],
  add: ['y'],
  copyColumns: ['y'],
  dropout: ['y'],
  softmaxForward: ['y'],
  softmaxBackward: ['dx'],
  softmaxCrossEntropy: ['loss', 'dx'],
  sigmoidCrossEntropy: ['loss', 'dx'],
  meanSquaredError: ['loss', 'dx'],
  classCorrect: ['out'],
  binaryCorrect: ['out'],
  absoluteError: ['out'],
  shardSums: [],
  blockNorms: ['blocks'],
  clipFactor: ['clip'],
  sgd: ['w'],
  momentum: ['w', 'v'],
  adam: ['w', 'm', 'v'],
} as const satisfies { readonly [K in KernelName]: readonly (keyof (typeof kernels)[K]['args'])[] };

export function call<K extends KernelName>(kernel: K, args: CallArguments<K>): Call {
  return checkedCall(kernel, args);
}

/** As `call`, for arguments whose names are checked at run time. */
export function checkedCall(kernel: KernelName, args: Readonly<Record<string, Argument>>): Call {
  for (const [name, kind] of Object.entries(kernels[kernel].args)) {
    const value = args[name];
    const pointer = kind === 'f' || kind === 'i';
    assert(value !== undefined && (pointer ? typeof value !== 'number' : typeof value === 'number'),
      `${kernel}: argument ${name} is ${pointer ? 'a place' : 'a number'}`); // biome-ignore format: one condition
  }
  return { kind: 'kernel', kernel, args };
}

/** The whole of a buffer. */
export function whole(buffer: Buffer): Reference {
  return { buffer, from: 0, size: buffer.size };
}

const references = (values: readonly (Argument | undefined)[]): Reference[] =>
  values.filter((value): value is Reference => typeof value === 'object' && value !== null);

/** What an item writes; reading what is written as well is not listed apart. */
export function writesOf(item: Item): readonly Reference[] {
  switch (item.kind) {
    case 'kernel':
      return references((written[item.kernel] as readonly string[]).map((name) => item.args[name]));
    case 'gather':
      return item.writes;
    case 'exchange':
      return [item.region];
    case 'emit':
    case 'cut':
    case 'guard':
    case 'barrier':
      return [];
    default:
      return item satisfies never;
  }
}

/** What an item reads and does not write. */
export function readsOf(item: Item): readonly Reference[] {
  if (item.kind === 'emit') return item.reads;
  if (item.kind !== 'kernel') return [];
  const names = written[item.kernel] as readonly string[];
  return references(
    Object.entries(item.args).flatMap(([name, value]) => (names.includes(name) ? [] : [value])),
  );
}
