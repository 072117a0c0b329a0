// How many bytes a plan needs, part by part, and whether they are there. From the plan alone; what a process or a message costs
// beside it was measured (test/e2e/memory.test.ts measures it again). Pure.

import { type ErrorCode, LockstepError } from '../errors.ts';
import { scratchFloats } from '../kernels/scratch.ts';
import type { CompiledModel } from './contract.ts';

/** What a process may have. */
export interface MachineMemory {
  readonly totalBytes: number;
  /** Free, or given back at once where it is needed. */
  readonly availableBytes: number;
  /** The total is the limit of a control group, not the machine's memory. */
  readonly isLimited: boolean;
  /** The largest typed array of this Node.js. */
  readonly bufferBytesMax: number;
}

export const memoryKinds = [
  'parameters',
  'gradients',
  'optimizer slots',
  'activations',
  'kernel scratch',
  'data set',
  'weight copies',
  'checkpoint copies',
  'messages',
  'processes',
] as const;
export type MemoryKind = (typeof memoryKinds)[number];
/** Bytes by what they are for. */
export type MemoryNeeds = Readonly<Partial<Record<MemoryKind, number>>>;

const mebibyte = 1024 * 1024;
/** Of Node.js itself, and of each of its threads that computes. */
const processBytes = 42 * mebibyte;
const laneBytes = 4 * mebibyte;
/** Pieces of snapshots, and what peers sent, that were used and are not collected yet: at most about this. */
const snapshotGarbageMax = 128 * mebibyte;
const peerGarbageMax = 64 * mebibyte;

export function addNeeds(...all: readonly MemoryNeeds[]): MemoryNeeds {
  const sum: Partial<Record<MemoryKind, number>> = {};
  for (const needs of all) {
    for (const kind of memoryKinds) if (needs[kind] !== undefined) sum[kind] = (sum[kind] ?? 0) + needs[kind];
  }
  return sum;
}

export const totalOf = (needs: MemoryNeeds): number =>
  Object.values(needs).reduce((sum, bytes) => sum + bytes, 0);

/** What of the arena is touched. An evaluation leaves gradients, optimizer slots and most activations alone. */
export function arenaNeeds(compiled: CompiledModel, purpose: 'training' | 'inference'): MemoryNeeds {
  const { state, partials, gradient, inputs, targets, output, activations, assignment } = compiled;
  const bytes = (floats: number): number => floats * Float32Array.BYTES_PER_ELEMENT;
  const rows = inputs.size + targets.size + output.size;
  const common = {
    parameters: bytes(state.parameters.size + state.statistics.size),
    'kernel scratch': bytes(scratchFloats * assignment.lanes + compiled.tables.size * compiled.tables.count),
  };
  if (purpose === 'inference') return { ...common, activations: bytes(rows + activations.evaluate) };
  const own = partials.nodes * partials.stride;
  return {
    ...common,
    gradients: bytes(own + (gradient.offset === partials.offset ? 0 : gradient.size)),
    'optimizer slots': bytes(state.slots.reduce((sum, { size }) => sum + size, 0)),
    activations: bytes(rows + Math.max(activations.step, activations.evaluate)),
  };
}

/** A model that predicts: the arena, and the weights as they are copied into it. */
export function inferenceNeeds(compiled: CompiledModel): MemoryNeeds {
  const parameters = compiled.state.parameters.size * Float32Array.BYTES_PER_ELEMENT;
  return addNeeds(arenaNeeds(compiled, 'inference'), { 'weight copies': parameters });
}

/** Bytes of the state that a checkpoint holds. */
function stateBytes({ state }: CompiledModel): number {
  const floats = [state.parameters, state.statistics, ...state.slots].reduce(
    (sum, { size }) => sum + size,
    0,
  );
  return floats * Float32Array.BYTES_PER_ELEMENT;
}

/** A worker in training, beside its process and its data set: the arena, the weights as they are drawn, what peers send. */
export function workerNeeds(compiled: CompiledModel): MemoryNeeds {
  const parameters = compiled.state.parameters.size * Float32Array.BYTES_PER_ELEMENT;
  const hasPeers = compiled.assignment.boundaries.length > 2;
  return addNeeds(arenaNeeds(compiled, 'training'), {
    'weight copies': parameters,
    messages: hasPeers ? Math.min(parameters, peerGarbageMax) : 0,
    processes: laneBytes * compiled.assignment.lanes,
  });
}

/** A checkpoint on its way: one worker copies its state, and the coordinator has another copy until it is written. */
export function checkpointNeeds(compiled: CompiledModel, copies: 1 | 2): MemoryNeeds {
  const state = stateBytes(compiled);
  return { 'checkpoint copies': copies * state, messages: Math.min(state / 2, snapshotGarbageMax) };
}

/** A worker process of its own. */
export function processNeeds(datasetBytes: number): MemoryNeeds {
  return { processes: processBytes, 'data set': datasetBytes };
}

/** The estimate may be this much above what is available, as it is that uncertain: then there is a warning. */
const margin = 0.1;

export type MemoryVerdict =
  | { readonly is: 'fits' }
  | { readonly is: 'warning'; readonly message: string }
  | { readonly is: 'error'; readonly code: ErrorCode; readonly message: string };

const remedies: Readonly<Record<MemoryKind, string>> = {
  parameters: 'a smaller model',
  gradients: 'fewer workers',
  'optimizer slots': 'an optimizer with fewer slots (sgd has none, momentum one, adam two)',
  activations: 'a smaller batch',
  'kernel scratch': 'fewer threads',
  'data set': 'fewer samples or workers',
  'weight copies': 'a smaller model',
  'checkpoint copies': 'an optimizer with fewer slots (sgd has none, momentum one, adam two)',
  messages: 'fewer workers',
  processes: 'fewer workers',
};

/** `what` needs so much more than it has now: does that fit? */
export function judgeMemory(what: string, needs: MemoryNeeds, machine: MachineMemory): MemoryVerdict {
  const needed = totalOf(needs);
  const { availableBytes, totalBytes, isLimited } = machine;
  if (needed <= availableBytes) return { is: 'fits' };
  const largest = memoryKinds
    .filter((kind) => (needs[kind] ?? 0) > 0)
    .toSorted((a, b) => needs[b]! - needs[a]!)
    .slice(0, 4);
  const parts = largest.map((kind) => `${kind} ${formatBytes(needs[kind]!)}`).join(', ');
  const helpful = [...new Set(largest.slice(0, 3).map((kind) => remedies[kind]))].join(', or ');
  const of = `${formatBytes(totalBytes)} ${isLimited ? 'that its control group allows' : 'of this machine'}`;
  const told = `${what} needs ${formatBytes(needed)} of memory (${parts}), but ${formatBytes(availableBytes)} of the ${of} are available`;
  const isTooMuch = needed > totalBytes || needed > availableBytes * (1 + margin);
  return isTooMuch
    ? { is: 'error', code: 'LOCKSTEP_OUT_OF_MEMORY', message: `${told}: use ${helpful}` }
    : { is: 'warning', message: `${told}: the system may end it; use ${helpful}` };
}

/** Throws LOCKSTEP_OUT_OF_MEMORY where `what` does not fit. */
export function requireMemory(what: string, needs: MemoryNeeds, machine: MachineMemory): void {
  const verdict = judgeMemory(what, needs, machine);
  if (verdict.is === 'error') throw new LockstepError(verdict.code, verdict.message);
}

/** The arena is one typed array. Null where this Node.js can make it. */
export function arenaTooLarge(
  { arenaSize }: CompiledModel,
  { bufferBytesMax }: MachineMemory,
): string | null {
  const bytes = arenaSize * Float32Array.BYTES_PER_ELEMENT;
  if (bytes <= bufferBytesMax) return null;
  return (
    `a worker needs ${formatBytes(bytes)} in one array, but this version of Node.js has arrays of at most ` +
    `${formatBytes(bufferBytesMax)}: use Node.js 22 or later, a smaller batch, or a smaller model`
  );
}

/** '512 MB', '11.3 GB' */
export function formatBytes(bytes: number): string {
  const gigabytes = bytes / 1e9;
  return gigabytes >= 1 ? `${gigabytes.toFixed(1)} GB` : `${Math.ceil(bytes / 1e6)} MB`;
}
