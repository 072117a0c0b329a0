// Step tables and views: what a worker's main thread writes for its lanes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileModel } from '../../../src/compile/compile.ts';
import { EngineMemory } from '../../../src/engine/memory.ts';
import { bitsFloat } from '../../../src/kernels/kernel-list.ts';
import { referenceBackend } from '../../../src/kernels/reference/backend.ts';
import { decodeStepTable, laneRowsOf } from '../../../src/kernels/step-table.ts';
import { mlp } from './jobs.ts';
import { prepare } from './world.ts';

function memoryOf(boundaries: readonly number[], rank: number, lanes = 2): EngineMemory {
  const assignment = {
    shards: 8,
    firstShard: boundaries[rank]!,
    endShard: boundaries[rank + 1]!,
    boundaries,
    lanes,
  };
  const compiled = compileModel({ ...prepare(mlp), batch: 20, assignment });
  return new EngineMemory(compiled, referenceBackend(32).createArena(compiled.arenaSize));
}

const plan = (samples: number) => ({
  step: 3,
  seed: 4_000_000_000,
  sampleIds: Uint32Array.from({ length: samples }, (_, i) => 100 + i),
  learningRate: 0.1,
  biasCorrections: [0.5, 0.25] as const,
});

describe('a step table', () => {
  it('has the rows, shards, merges and sample ids of its worker, and the scalars of the step', () => {
    const memory = memoryOf([0, 3, 8], 1);
    expect(memory.writeStepTable(1, plan(20))).toBe(13);
    const { ints } = memory.arena;
    const table = decodeStepTable(ints, memory.tableAt(1));
    expect(table).toMatchObject({
      rows: 13,
      shards: 5,
      firstShard: 3,
      nodes: 2,
      nodeStart: 2,
      globalNodes: 4,
      step: 3,
    });
    expect([table.learningRate, table.inverseWeight]).toEqual([Math.fround(0.1), Math.fround(1 / 20)]);
    expect([table.biasCorrection1, table.biasCorrection2]).toEqual([0.5, 0.25]);
    expect(table.seed >>> 0).toBe(4_000_000_000);
    const list = (offset: number, count: number) => [...ints.subarray(offset, offset + count)];
    expect(list(table.shardRowsOffset, 6)).toEqual([0, 3, 5, 8, 10, 13]);
    // Shards 3..7: 3 alone (its sibling is another worker's), then 4..7 in their tree.
    expect(list(table.mergesOffset, 5)).toEqual([0, 0, 1, 0, 2]);
    // Nodes 0..1, 2 of the first worker, 3, 4..7 of the second.
    expect(list(table.globalMergesOffset, 4)).toEqual([0, 0, 2, 1]);
    expect(list(table.sampleIdsOffset, 13)).toEqual(Array.from({ length: 13 }, (_, i) => 107 + i));
    expect(list(table.laneRowsOffset, 3)).toEqual([0, 6, 13]);
    expect(bitsFloat(ints[memory.tableAt(1) + 8]!)).toBe(Math.fround(0.05));
  });

  it('starts with results of zero, whatever an earlier step left', () => {
    const memory = memoryOf([0, 8], 0);
    memory.writeStepTable(0, plan(20));
    const { resultsOffset } = decodeStepTable(memory.arena.ints, memory.tableAt(0));
    memory.arena.floats.fill(7, resultsOffset, resultsOffset + 8 + 16);
    expect(memory.gradientNorm(0)).toBe(7);
    expect(new Set(memory.readReports(0))).toEqual(new Set([7]));
    memory.writeStepTable(0, plan(5));
    expect(memory.gradientNorm(0)).toBe(0);
    expect(new Set(memory.readReports(0))).toEqual(new Set([0]));
  });

  it('holds nothing for a worker without shards', () => {
    const memory = memoryOf([0, 0, 8], 0);
    expect(memory.writeStepTable(0, plan(20))).toBe(0);
    expect(memory.nodes).toEqual({ own: 0, before: 0, all: 1 });
  });
});

describe('the rows of lanes', () => {
  it('are ascending, all rows, and even to one row', () => {
    const cases = fc.record({ rows: fc.nat(200), lanes: fc.integer({ min: 1, max: 6 }) });
    fc.assert(
      fc.property(cases, ({ rows, lanes }) => {
        const starts = laneRowsOf(rows, lanes);
        expect(starts).toHaveLength(lanes + 1);
        expect([starts[0], starts[lanes]]).toEqual([0, rows]);
        starts.slice(1).forEach((start, lane) => {
          const share = start - starts[lane]!;
          expect([Math.floor(rows / lanes), Math.ceil(rows / lanes)]).toContain(share);
        });
      }),
    );
  });
});

describe('the state', () => {
  it('is scattered at its layout, gaps zero', () => {
    const memory = memoryOf([0, 8], 0);
    const values = memory.compiled.parameters.map(({ size }, i) => new Float32Array(size).fill(i + 1));
    memory.setParameters(values);
    memory.compiled.parameters.forEach(({ offset, size }, i) => {
      expect(new Set(memory.parameters.subarray(offset, offset + size))).toEqual(new Set([i + 1]));
      const next = memory.compiled.parameters[i + 1]?.offset ?? memory.parameters.length;
      expect(memory.parameters.subarray(offset + size, next).every((value) => value === 0)).toBe(true);
    });
  });
});
