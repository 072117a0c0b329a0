// Lanes in real threads, more of them than there are cores, meet at many barriers. Every round passes a number from
// each lane to each other one; a lane that runs ahead or behind spoils the sum.

import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { Arena, ArenaHandle, Backend } from '../../../src/kernels/backend.ts';
import { encodeInstruction } from '../../../src/kernels/kernel-list.ts';
import { nativeBackend } from '../../../src/kernels/native/backend.ts';
import { encodeStepTable } from '../../../src/kernels/step-table.ts';
import { wasmBackend } from '../../../src/kernels/wasm/backend.ts';
import { packageRoot } from '../../../src/platform/package-root.ts';

const rounds = 400;
const columns = 64;
const runs = 3;
const [barrier, table, lists, program] = [64, 128, 192, 1024];
const [x, one, sum, copy, total] = [0, 1, 2, 3, 4].map((block) => 32_768 + block * 1024) as [
  number,
  number,
  number,
  number,
  number,
];

/** x[lane] += 1 | all lanes: sum = tree sum of x | total[lane] += sum. A shard and a row for each lane. */
function writeProgram(arena: Arena, lanes: number): number {
  const row = { size: columns, activation: 0 };
  const round = [
    encodeInstruction('add', { y: x, a: x, b: one, ...row }),
    encodeInstruction('barrier', {}),
    encodeInstruction('sumNodes', { out: sum, stride: columns, leaves: x, columns, from: 0, count: columns, gathered: 0 }),
    encodeInstruction('barrier', {}),
    encodeInstruction('copyColumns', { y: copy, yColumns: columns, yFrom: 0, x: sum, xColumns: 0, xFrom: 0, count: columns, positions: 1 }),
    encodeInstruction('add', { y: total, a: total, b: copy, ...row }),
  ].flat(); // biome-ignore format: a program
  const words = Array.from({ length: rounds }, () => round).flat();
  expect(program + words.length).toBeLessThan(32_768);
  arena.ints.set([lanes, 40_000, 64, barrier]);
  arena.ints.set(words, program);
  arena.ints.set(
    Array.from({ length: lanes + 1 }, (_, lane) => lane),
    lists,
  );
  // The tree over the lanes as one long merge at the end: every leaf is a whole number, so the order does not matter.
  arena.ints.set(
    Array.from({ length: lanes }, (_, lane) => (lane === lanes - 1 ? lanes - 1 : 0)),
    lists + 32,
  );
  const step = {
    rows: lanes, shards: lanes, firstShard: 0, nodes: 1, nodeStart: 0, globalNodes: 1, step: 1, seed: 1, inverseWeight: 1,
    learningRate: 0, biasCorrection1: 1, biasCorrection2: 1, laneRowsOffset: lists, shardRowsOffset: lists,
    mergesOffset: lists + 32, globalMergesOffset: lists + 64, sampleIdsOffset: lists + 96, resultsOffset: lists + 128,
  }; // biome-ignore format: a table
  arena.ints.set(encodeStepTable(step), table);
  arena.floats.fill(1, one, one + lanes * columns);
  return program + words.length;
}

function lane(kind: 'native' | 'wasm', handle: ArenaHandle, index: number, to: number): Promise<void> {
  const entry = join(packageRoot(), `dist/src/kernels/${kind}/backend.js`);
  const source = `
    const { workerData } = require('node:worker_threads');
    const { entry, kind, handle, index, from, to, table, runs } = workerData;
    import(entry).then((backends) => {
      const runner = backends[kind + 'Backend']().attach(handle, index);
      for (let i = 0; i < runs; i += 1) runner.run(from, to, table);
    });`;
  const data = { entry, kind, handle, index, from: program, to, table, runs };
  return new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true, workerData: data });
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
}

function load(name: string, make: () => Backend): { name: string; backend: Backend | null } {
  try {
    return { name, backend: make() };
  } catch (error) {
    return { name: `${name} (skipped: ${(error as Error).message})`, backend: null };
  }
}

const backends = [load('native', () => nativeBackend()), load('wasm', () => wasmBackend())];

describe.each(backends)('barrier, $name', ({ backend }) => {
  it.skipIf(!backend).each([1, 2, 5])('%i lanes never miss each other', async (lanes) => {
    const arena = backend!.createArena(65_536);
    const to = writeProgram(arena, lanes);
    const kind = backend!.name as 'native' | 'wasm';
    await Promise.all(Array.from({ length: lanes }, (_, index) => lane(kind, arena.handle, index, to)));
    const steps = rounds * runs;
    const expected = (lanes * steps * (steps + 1)) / 2;
    expect(arena.floats[x]).toBe(steps);
    expect(new Set(arena.floats.subarray(total, total + lanes * columns))).toEqual(new Set([expected]));
  });
});
