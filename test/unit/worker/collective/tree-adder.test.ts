// Adding the nodes of all workers: plain TypeScript and the backends' kernel give the bits of the tree.

import { describe, expect, it } from 'vitest';
import { nativeBackend } from '../../../../src/kernels/native/backend.ts';
import { referenceBackend } from '../../../../src/kernels/reference/backend.ts';
import { wasmBackend } from '../../../../src/kernels/wasm/backend.ts';
import { wholeNodes } from '../../../../src/numerics/tree.ts';
import { arithmeticOf } from '../../../../worker/collective/arithmetic.ts';
import { bytesOf } from '../../../../worker/collective/floats.ts';
import { LaneAdder } from '../../../../worker/collective/lane-adder.ts';
import { BlockAdder, type TreeAdder } from '../../../../worker/collective/tree-adder.ts';
import { worldOf } from '../../../../worker/collective/world.ts';
import { expectedGradient, shardGradient, treeSum } from './cluster.ts';

function whereAvailable(
  make: () => (merges: readonly number[]) => TreeAdder,
): (merges: readonly number[]) => TreeAdder {
  try {
    return make();
  } catch {
    return (merges) => new BlockAdder(merges);
  }
}

const adders: readonly [string, (merges: readonly number[]) => TreeAdder][] = [
  ['in TypeScript', (merges) => new BlockAdder(merges)],
  ['in TypeScript, in small blocks', (merges) => new BlockAdder(merges, undefined, 16)],
  ['by the reference kernel', (merges) => new LaneAdder(referenceBackend(32), merges)],
  ['by the WebAssembly kernel', (merges) => new LaneAdder(wasmBackend('strict'), merges)],
  [
    'by the native kernel',
    whereAvailable(() => {
      const backend = nativeBackend();
      return (merges) => new LaneAdder(backend, merges);
    }),
  ],
  [
    'by native functions',
    whereAvailable(() => {
      const backend = nativeBackend();
      return (merges) => arithmeticOf(backend, merges).adder;
    }),
  ],
];

const worlds = [
  [0, 8],
  [0, 4, 8],
  [0, 3, 8],
  [0, 2, 5, 8],
  [0, 1, 3, 5, 6, 8],
  [0, 0, 5, 5, 8],
  [0, 7, 20, 33],
  [0, 1],
];

describe.each(adders)('adding %s', (_how, adderOf) => {
  it.each(worlds.map((boundaries) => [boundaries.join(' '), boundaries] as const))(
    'of shards cut at %s equals the tree',
    (_name, boundaries) => {
      const shards = boundaries.at(-1)!;
      for (const floats of [1, 15, 16, 17, 1000, 40_000]) {
        const leaf = (shard: number): Float32Array => shardGradient(shard, 1, floats);
        const sources = boundaries
          .slice(1)
          .flatMap((end, rank) => wholeNodes(boundaries[rank]!, end, shards))
          .map(({ lo, hi }) => treeSum(lo, hi, leaf));
        const out = new Float32Array(floats).fill(Number.NaN);
        adderOf(worldOf(0, boundaries).merges).add(out, sources);
        expect(Buffer.compare(bytesOf(out), bytesOf(expectedGradient(boundaries, 1, floats)))).toBe(0);
        if (floats > 1000 && shards > 8) break;
      }
    },
  );
});
