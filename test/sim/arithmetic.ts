// A training step small enough for thousands of runs, in real float32: gradients depend on weights, step and samples, are
// added in the fixed tree, and every bit of the state depends on every (step, shard) before it. Also the quiet run.

import { batchRange, epochOrder, stepsPerEpoch } from '../../src/numerics/permutation.ts';
import { shardStart, splitOf, wholeNodes } from '../../src/numerics/tree.ts';

export const parameters = 24;
/** More than any run has. */
const stepsMax = 42;
const epochsMax = 9;
/** Weights, momentum, then the ledger: what was added for each step, and the samples and their ids of each epoch. */
export const stateFloats = 2 * parameters + stepsMax + 2 * epochsMax;
const ledger = { steps: 2 * parameters, samples: 2 * parameters + stepsMax } as const;
/** Of the weights; then what each shard enters into the ledger: its mark, its samples, the sum of their ids. */
export const gradientFloats = parameters + 3;
/** Floats of the record that is swapped between the two segments of a step. */
export const recordFloats = 2;

/** What a run computes: the rest is the cluster's. */
export interface Task {
  readonly seed: number;
  readonly shards: number;
  readonly steps: number;
  readonly evaluateEvery: number;
  readonly checkpointEvery: number;
}

/** A float in [-1, 1) of some words. */
function noise(a: number, b: number, c: number, d: number): number {
  let word = Math.imul(a + 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  word =
    Math.imul(word ^ (word >>> 15), 0x27d4eb2f) ^ Math.imul(c + 1, 0x165667b1) ^ Math.imul(d + 1, 0x9e3779b1);
  word = Math.imul(word ^ (word >>> 13), 0x85ebca6b);
  return ((word ^ (word >>> 16)) >>> 0) / 2 ** 31 - 1;
}

const epochSamples = 37;
const batch = 8;
export const stepsOfEpoch = stepsPerEpoch(epochSamples, batch);
/** Ids count from 1, so that the first sample counts. */
const epochIds = (epochSamples * (epochSamples + 1)) / 2;

/** The ids of the samples of a shard: those of its slice of the batch, in the order of the epoch. */
export type Sampler = (step: number, shard: number) => readonly number[];

/** `dropsRagged`: the twin that leaves the last batch of an epoch out. */
export function samplerOf(task: Task, dropsRagged = false): Sampler {
  const orders = new Map<number, Uint32Array>();
  return (step, shard) => {
    const { epoch, from, to } = batchRange(step - 1, epochSamples, batch);
    if (dropsRagged && to - from < batch) return [];
    const order = orders.get(epoch) ?? epochOrder(task.seed, epoch, epochSamples);
    orders.set(epoch, order);
    const start = (index: number): number => from + shardStart(index, to - from, task.shards);
    return Array.from(order.subarray(start(shard), start(shard + 1)), (id) => id + 1);
  };
}

/** Shard s is worth 4 to the s: the sum says how often each one was added, up to three times. */
const markOf = (shard: number): number => 4 ** shard;

/** One line where a step of the ledger has not every shard once, or has any after `step`; else null. */
export function stepsProblem(task: Task, state: Float32Array, step: number): string | null {
  const once = (4 ** task.shards - 1) / 3;
  for (let each = 1; each <= stepsMax; each += 1) {
    const mark = state[ledger.steps + each - 1]!;
    if (mark === (each <= step ? once : 0)) continue;
    const digits = mark.toString(4).padStart(task.shards, '0');
    return `step ${each} of ${step} has its shards, the last one first, so often: ${digits}`;
  }
  return null;
}

/** One line where an epoch that is over after `step` has not every sample once; else null. */
export function samplesProblem(state: Float32Array, step: number): string | null {
  for (let epoch = 0; (epoch + 1) * stepsOfEpoch <= step; epoch += 1) {
    const taken = state[ledger.samples + 2 * epoch]!;
    const ids = state[ledger.samples + 2 * epoch + 1]!;
    if (taken !== epochSamples || ids !== epochIds)
      return `epoch ${epoch} took ${taken} samples whose ids add to ${ids}, not ${epochSamples} and ${epochIds}`;
  }
  return null;
}

export function initialState(task: Task): Float32Array {
  return Float32Array.from({ length: stateFloats }, (_, i) =>
    i < parameters ? noise(task.seed, 0, 0, i) : 0,
  );
}

/** Adds what `leaf` gives for each shard of the tree's node lo .. hi-1. */
export function treeOf(lo: number, hi: number, leaf: (shard: number) => Float32Array): Float32Array {
  if (hi - lo === 1) return leaf(lo);
  const split = splitOf(lo, hi);
  const left = treeOf(lo, split, leaf);
  const right = treeOf(split, hi, leaf);
  return left.map((value, i) => value + right[i]!);
}

/** The whole nodes of the tree over the run's shards that lie within lo .. hi-1. */
export function nodesOf(
  task: Task,
  lo: number,
  hi: number,
  leaf: (shard: number) => Float32Array,
): Float32Array[] {
  return wholeNodes(lo, hi, task.shards).map((node) => treeOf(node.lo, node.hi, leaf));
}

/** First segment: a statistic of the shard's samples. */
export function recordOf(task: Task, state: Float32Array, step: number, shard: number): Float32Array {
  const mean = noise(task.seed, step, shard, 1_000);
  return Float32Array.of(mean, Math.fround(mean * state[step % parameters]!));
}

/** Second segment: the shard's part of the gradient, given the records of all in the tree. */
export function gradientOf(
  task: Task,
  state: Float32Array,
  record: Float32Array,
  step: number,
  shard: number,
  samples: readonly number[],
): Float32Array {
  const gradient = new Float32Array(gradientFloats);
  for (let i = 0; i < parameters; i += 1)
    gradient[i] = noise(task.seed, step, shard, i) + Math.fround(state[i]! * 0.125) + record[i & 1]!;
  gradient[parameters] = markOf(shard);
  gradient[parameters + 1] = samples.length;
  gradient[parameters + 2] = samples.reduce((sum, id) => sum + id, 0);
  return gradient;
}

/** The loss of a shard's samples. */
export function lossOf(task: Task, state: Float32Array, step: number, shard: number): number {
  return Math.fround(noise(task.seed, step, shard, 2_000) * state[shard % parameters]!);
}

export function update(task: Task, state: Float32Array, gradient: Float32Array, step: number): void {
  for (let i = 0; i < parameters; i += 1) {
    const momentum = Math.fround(Math.fround(state[parameters + i]! * 0.5) + gradient[i]! / task.shards);
    state[parameters + i] = momentum;
    state[i] = state[i]! - Math.fround(0.1 * momentum);
  }
  const epoch = Math.floor((step - 1) / stepsOfEpoch);
  state[ledger.steps + step - 1]! += gradient[parameters]!;
  state[ledger.samples + 2 * epoch]! += gradient[parameters + 1]!;
  state[ledger.samples + 2 * epoch + 1]! += gradient[parameters + 2]!;
}

/** FNV-1a over the bits, eight hexadecimal digits, as long as a SHA-256 is written. */
export function hashOf(state: Float32Array): string {
  let hash = 0x811c9dc5;
  for (const word of new Uint32Array(state.buffer, state.byteOffset, state.length)) {
    hash = Math.imul(hash ^ word, 0x01000193) >>> 0;
    hash = (hash ^ (hash >>> 15)) >>> 0;
  }
  return hash.toString(16).padStart(8, '0').repeat(8);
}

/** The state after each step, by one worker that nothing happens to. */
export function quietRun(task: Task): readonly Float32Array[] {
  const state = initialState(task);
  const samplesOf = samplerOf(task);
  const states = [state.slice()];
  for (let step = 1; step <= task.steps; step += 1) {
    const record = treeOf(0, task.shards, (shard) => recordOf(task, state, step, shard));
    update(
      task,
      state,
      treeOf(0, task.shards, (shard) => gradientOf(task, state, record, step, shard, samplesOf(step, shard))),
      step,
    );
    states.push(state.slice());
  }
  return states;
}
