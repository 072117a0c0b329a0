// The small all-to-all swap over a network in memory, in any order of arrival; and its limits.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../../proto/error.ts';
import { limits } from '../../../../proto/limits.ts';
import { Swap, type SwapPart } from '../../../../worker/collective/swap.ts';
import { worldOf } from '../../../../worker/collective/world.ts';
import { drawer } from './cluster.ts';

interface Flight {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly id: number;
  readonly part: SwapPart;
}

const partOf = (rank: number, step: number, id: number): SwapPart => ({
  data: Uint8Array.of(rank, step, id),
  flags: rank + 1,
});

function cluster(size: number, count: number, startStep = 0) {
  const wire: Flight[] = [];
  const members = Array.from({ length: size }, (_, rank) => {
    const got: string[] = [];
    const swapped: string[] = [];
    const swap = new Swap({
      world: worldOf(
        rank,
        Array.from({ length: size + 1 }, (_, r) => r),
      ),
      count,
      startStep,
      bytesOf: () => 3,
      send: (to, step, id, part) => wire.push({ from: rank, to, step, id, part }),
      onPart: (from, step, id, { data, flags }) => got.push(`${step}.${id}.${from}:${data}:${flags}`),
      onSwapped: (step, id) => swapped.push(`${step}.${id}`),
    });
    return { swap, got, swapped };
  });
  return { members, wire };
}

describe('a swap', () => {
  it('brings every part to everyone once, in any order, with repeats', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer(),
        (size, count, seed) => {
          const steps = 3;
          const { members, wire } = cluster(size, count);
          const draw = drawer(seed);
          const next = members.map(() => 0);
          const delivered: Flight[] = [];
          while (members.some(({ swapped }) => swapped.length < steps * count)) {
            const able = members.flatMap(({ swapped }, rank) =>
              swapped.length === next[rank] && next[rank]! < steps * count ? [rank] : [],
            );
            if (able.length > 0 && (wire.length === 0 || draw(2) === 0)) {
              const rank = able[draw(able.length)]!;
              const step = Math.floor(next[rank]! / count) + 1;
              const id = next[rank]! % count;
              next[rank]! += 1;
              members[rank]!.swap.begin(step, id, partOf(rank, step, id));
            } else {
              const flight =
                draw(5) === 0 && delivered.length > 0
                  ? delivered[draw(delivered.length)]!
                  : wire.splice(draw(wire.length), 1)[0]!;
              delivered.push(flight);
              members[flight.to]!.swap.receive(flight.from, flight.step, flight.id, flight.part);
            }
          }
          members.forEach(({ got }, rank) => {
            const expected: string[] = [];
            for (let step = 1; step <= steps; step++)
              for (let id = 0; id < count; id++)
                for (let from = 0; from < size; from++)
                  if (from !== rank) expected.push(`${step}.${id}.${from}:${from},${step},${id}:${from + 1}`);
            expect(got.toSorted()).toEqual(expected.toSorted());
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  it('refuses what does not fit, drops what is over', () => {
    const codeOf = (action: () => void): string => {
      try {
        action();
      } catch (error) {
        if (error instanceof ProtocolError) return error.code;
        throw error;
      }
      return 'none';
    };
    const { swap } = cluster(2, 2, 5).members[0]!;
    expect(codeOf(() => swap.receive(1, 6, 2, partOf(1, 6, 2)))).toBe('unexpected');
    expect(codeOf(() => swap.receive(1, 8, 0, partOf(1, 8, 0)))).toBe('overflow');
    expect(codeOf(() => swap.receive(1, 6, 0, { data: new Uint8Array(4), flags: 0 }))).toBe('size');
    expect(codeOf(() => swap.receive(1, 5, 0, { data: new Uint8Array(4), flags: 0 }))).toBe('none');
    expect(codeOf(() => swap.receive(1, 6, 0, partOf(1, 6, 0)))).toBe('none');
    expect(codeOf(() => swap.receive(1, 6, 0, partOf(1, 6, 0)))).toBe('none');
    expect(codeOf(() => swap.receive(1, 6, 0, partOf(1, 6, 1)))).toBe('conflict');
  });

  it('holds no more than its limit of one who runs ahead', () => {
    const bytes = Math.floor(limits.earlyBytesMax / 3);
    const swap = new Swap({
      world: worldOf(0, [0, 1, 2]),
      count: 4,
      startStep: 0,
      bytesOf: () => bytes,
      send: () => undefined,
      onPart: () => undefined,
      onSwapped: () => undefined,
    });
    const part = { data: new Uint8Array(bytes), flags: 0 };
    for (let id = 0; id < 3; id++) swap.receive(1, 1, id, part);
    expect(() => swap.receive(1, 1, 3, part)).toThrow(/too far ahead/);
  });
});
