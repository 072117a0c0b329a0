// Runs a case of the battery on a backend, lane after lane in one thread, and returns what the kernel wrote.
// In tests everything it must not write is guarded: a stray store is an error here, not a mystery elsewhere. The
// fingerprint, which every worker takes at its start, does without.

import { assert } from '../errors.ts';
import type { Arena, Backend } from './backend.ts';
import { type BatteryCase, type Block, resultKernels, type StepLayout, signed } from './battery-case.ts';
import { encodeInstruction, kernels } from './kernel-list.ts';
import { scratchFloats } from './scratch.ts';
import {
  arenaHeaderFields,
  arenaHeaderSize,
  encodeStepTable,
  laneRowsOf,
  resultsHeader,
  type StepTable,
} from './step-table.ts';

/** Metrics in the results of a battery step. */
export const batteryMetrics = 2;

const barrierSize = 64;
const blocksSizeMaxDefault = 1 << 19;
/** Floats between two blocks, which no kernel may touch. */
const guard = 16;
/** What outputs and guards hold beforehand; exact in float32. */
const untouched = -12345.5;
/** The words behind the last lane's scratch. */
const scratchMark = 0x5ca7c4ed;

export interface CaseResult {
  /** The output blocks in the order of the arguments, then the results: floats (float64 from the float64 reference); ints. */
  readonly floats: Float32Array | Float64Array;
  readonly ints: Int32Array;
}

interface Placed {
  readonly block: Block;
  readonly kind: 'f' | 'i';
  readonly offset: number;
  /** Key of its contents. */
  readonly key: number;
}

/** A well mixed uint32 of (key, i): Murmur3's finaliser. */
function hash(key: number, i: number): number {
  let h = Math.imul(key ^ Math.imul(i + 1, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 13), 0x27d4eb2f);
  return (h ^ (h >>> 16)) >>> 0;
}

function textKey(text: string): number {
  return [...text].reduce((key, character) => hash(key, character.charCodeAt(0)), 1);
}

function align(offset: number): number {
  return Math.ceil(offset / 16) * 16;
}

/** Writes the step table and its arrays from `offset` on; returns where they end and where the results lie. */
function writeStepTable(
  arena: Arena,
  offset: number,
  layout: StepLayout,
  lanes: number,
): { readonly end: number; readonly results: number; readonly resultsSize: number } {
  let end = align(offset + 64);
  const put = (values: readonly number[]): number => {
    const at = end;
    arena.ints.set(values, at);
    end = align(at + values.length);
    return at;
  };
  const laneRowsOffset = put(laneRowsOf(layout.rows, lanes));
  const shardRowsOffset = put(layout.shardRows);
  const mergesOffset = put(layout.merges);
  const globalMergesOffset = put(layout.globalMerges);
  const sampleIdsOffset = put(Array.from({ length: layout.rows }, (_, row) => (row * 7919 + 13) % 60000));
  const resultsSize = resultsHeader + layout.shards * batteryMetrics;
  const results = end + guard;
  arena.floats.fill(untouched, results, results + resultsSize);
  const table: StepTable = {
    rows: layout.rows,
    shards: layout.ownShards,
    firstShard: layout.firstShard,
    nodes: layout.ownNodes,
    nodeStart: layout.nodeStart,
    globalNodes: layout.globalNodes,
    step: 3,
    seed: 0xc0ffee11,
    inverseWeight: 1 / layout.batch,
    learningRate: 0.0125,
    biasCorrection1: 1 - 0.9 * 0.9 * 0.9,
    biasCorrection2: 1 - 0.999 * 0.999 * 0.999,
    laneRowsOffset,
    shardRowsOffset,
    mergesOffset,
    globalMergesOffset,
    sampleIdsOffset,
    resultsOffset: results,
  };
  arena.ints.set(encodeStepTable(table), offset);
  return { end: align(results + resultsSize) + guard, results, resultsSize };
}

/** Gives every block its place from `offset` on, and fills inputs. */
function placeBlocks(
  arena: Arena,
  from: number,
  blocksSizeMax: number,
  test: BatteryCase,
): { placed: Placed[]; end: number } {
  let end = from;
  const placed: Placed[] = [];
  const key = textKey(`${test.kernel} ${test.name}`);
  for (const [name, kind] of Object.entries(kernels[test.kernel].args)) {
    const block = test.args[name];
    if (block === null || typeof block !== 'object' || placed.some((other) => other.block === block))
      continue;
    placed.push({ block, kind: kind === 'i' ? 'i' : 'f', offset: end, key: hash(key, textKey(name)) });
    end = align(end + block.size) + guard;
  }
  assert(end <= blocksSizeMax, `the battery's case ${test.kernel} ${test.name} needs a larger arena`);
  arena.floats.fill(untouched, from, end);
  for (const { block, kind, offset, key: blockKey } of placed) {
    if (block.role === 'output') continue;
    const memory = kind === 'i' ? arena.ints : arena.floats;
    fillInput(memory.subarray(offset, offset + block.size), block, blockKey);
  }
  return { placed, end };
}

function fillInput(memory: Float32Array | Float64Array | Int32Array, block: Block, key: number): void {
  if (block.contents === signed && memory instanceof Float32Array) {
    fillSigned(memory, key);
    return;
  }
  const { size, contents } = block;
  for (let i = 0; i < size; i += 1) memory[i] = Math.fround(contents((hash(key, i) >>> 8) * 2 ** -24, i));
}

/** Most inputs are these, and a worker waits for them at its start: the same without a call for each element. */
function fillSigned(memory: Float32Array, key: number): void {
  for (let i = 0; i < memory.length; i += 1) memory[i] = 2 * ((hash(key, i) >>> 8) * 2 ** -24) - 1;
}

function instruction(test: BatteryCase, placed: readonly Placed[]): number[] {
  const args = Object.keys(kernels[test.kernel].args).map((name) => {
    const value = test.args[name];
    if (typeof value === 'number') return [name, value];
    return [name, value ? placed.find(({ block }) => block === value)!.offset : -1];
  });
  return encodeInstruction(test.kernel, Object.fromEntries(args));
}

interface Region {
  readonly from: number;
  readonly to: number;
}

/** All that lies outside of `written` must be as it was, in both memories. */
function checkUntouched(
  arena: Arena,
  before: readonly [Float32Array | Float64Array, Int32Array],
  written: readonly Region[],
  what: string,
): void {
  const [floats, ints] = before;
  let from = 0;
  const ascending = [...written].sort((a, b) => a.from - b.from);
  for (const region of [...ascending, { from: ints.length, to: ints.length }]) {
    for (let i = from; i < region.from; i += 1) {
      const same = arena.ints[i] === ints[i] && Object.is(arena.floats[i], floats[i]);
      if (!same) assert(false, `${what} wrote outside of its outputs, at word ${i}`);
    }
    from = region.to;
  }
}

interface RunnerOptions {
  /** A store outside of the outputs throws. */
  readonly guarded?: boolean;
  /** Floats of the arena that a case may take. */
  readonly blocksSizeMax?: number;
  /** Floats of each lane's scratch, where a case needs more than usual. */
  readonly scratchSize?: number;
}

/** An arena for all cases, and the function that runs one on it. */
export function caseRunner(
  backend: Backend,
  lanes: number,
  { guarded = true, blocksSizeMax = blocksSizeMaxDefault, scratchSize = scratchFloats }: RunnerOptions = {},
): (test: BatteryCase) => CaseResult {
  const scratchEnd = blocksSizeMax + lanes * scratchSize;
  const arena = backend.createArena(scratchEnd + guard);
  const runners = Array.from({ length: lanes }, (_, lane) => backend.attach(arena.handle, lane));
  const programOffset = arenaHeaderSize + barrierSize;
  const tableOffset = programOffset + 64;
  let used = 0;
  return (test) => {
    const active = test.oneLane ? runners.slice(0, 1) : runners;
    arena.ints.fill(0, 0, used);
    arena.ints.fill(scratchMark, scratchEnd);
    arena.floats.fill(0, 0, used);
    const header = {
      lanes: active.length,
      scratchOffset: blocksSizeMax,
      scratchSize,
      barrierOffset: arenaHeaderSize,
    };
    arena.ints.set(arenaHeaderFields.map((field) => header[field]));
    const {
      end: tableEnd,
      results,
      resultsSize,
    } = writeStepTable(arena, tableOffset, test.layout, active.length);
    const { placed, end } = placeBlocks(arena, tableEnd, blocksSizeMax, test);
    used = end;
    const words = instruction(test, placed);
    arena.ints.set(words, programOffset);
    const before = guarded ? ([arena.floats.slice(0, end), arena.ints.slice(0, end)] as const) : null;

    for (const runner of active) runner.run(programOffset, programOffset + words.length, tableOffset);

    const outputs = placed
      .filter(({ block }) => block.role !== 'input')
      .map(({ kind, offset, block }) => ({ kind, from: offset, to: offset + block.size }));
    if (resultKernels.has(test.kernel)) outputs.push({ kind: 'f', from: results, to: results + resultsSize });
    if (before !== null) {
      const barrierWords = { from: arenaHeaderSize, to: arenaHeaderSize + barrierSize };
      const what = `${backend.variant} ${test.kernel} ${test.name}`;
      checkUntouched(arena, before, [barrierWords, ...outputs], what);
      const behind = arena.ints.subarray(scratchEnd);
      assert(
        behind.every((word) => word === scratchMark),
        `${what} wrote behind its scratch`,
      );
    }
    return collect(arena, outputs);
  };
}

function collect(arena: Arena, outputs: readonly (Region & { readonly kind: 'f' | 'i' })[]): CaseResult {
  const sizeOf = (kind: 'f' | 'i'): number =>
    outputs.reduce((sum, block) => sum + (block.kind === kind ? block.to - block.from : 0), 0);
  const Floats = arena.floats instanceof Float32Array ? Float32Array : Float64Array;
  const result = { floats: new Floats(sizeOf('f')), ints: new Int32Array(sizeOf('i')) };
  const end = { f: 0, i: 0 };
  for (const { kind, from, to } of outputs) {
    if (kind === 'f') result.floats.set(arena.floats.subarray(from, to), end.f);
    else result.ints.set(arena.ints.subarray(from, to), end.i);
    end[kind] += to - from;
  }
  return result;
}

/** Runs one case on a new arena. */
export function runCase(backend: Backend, test: BatteryCase, lanes: number): CaseResult {
  return caseRunner(backend, lanes)(test);
}
