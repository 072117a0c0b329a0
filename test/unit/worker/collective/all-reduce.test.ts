// The all-reduce machine over a network in memory: whatever the world, the cut and the order of arrival, every member's
// gradient is the tree's by bytes; and what does not fit is refused.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../../proto/error.ts';
import type { ReduceMessage } from '../../../../worker/collective/all-reduce.ts';
import { bytesOf } from '../../../../worker/collective/floats.ts';
import {
  type ClusterOptions,
  deliver,
  drawer,
  expectedGradient,
  fillPartials,
  generation,
  type InFlight,
  memoryCluster,
} from './cluster.ts';

const steps = 3;

/** Runs steps with arrivals, readiness and repeats drawn from the seed; each member goes on as soon as it can. */
function runShuffled(options: ClusterOptions, seed: number): void {
  const { boundaries, buckets } = options;
  const { members, wire, left } = memoryCluster(options);
  const draw = drawer(seed);
  const floats = members[0]!.gradient.length;
  const states = members.map(() => ({ step: 0, unready: [] as number[], done: 0 }));
  const sent: InFlight[] = [];
  for (;;) {
    const moves: (() => void)[] = [];
    states.forEach((state, rank) => {
      const member = members[rank]!;
      const isReduced = state.done === buckets.length * state.step && state.unready.length === 0;
      // Steps end with a swap of everyone's reports.
      const isReported = states.every(
        ({ step, unready }) => step > state.step || (step === state.step && unready.length === 0),
      );
      if (isReduced && isReported && state.step < steps)
        moves.push(() => {
          if (state.step > 0) {
            const expected = expectedGradient(boundaries, state.step, floats);
            expect(Buffer.compare(bytesOf(member.gradient), bytesOf(expected))).toBe(0);
            // The update may use the gradient's memory; nothing may be written to it before the next is ready.
            member.gradient.fill(7);
          }
          state.step += 1;
          for (const partial of member.partials) partial.fill(Number.NaN);
          fillPartials(member, boundaries, state.step);
          state.unready = buckets.map((_, bucket) => bucket);
        });
      if (state.unready.length > 0)
        moves.push(() => {
          if (state.unready.length === buckets.length && state.step > 1)
            expect(member.gradient.every((value) => value === 7)).toBe(true);
          const [bucket] = state.unready.splice(draw(state.unready.length), 1);
          member.machine.ready(state.step, bucket!);
        });
    });
    for (let i = 0; i < 3 && wire.length > 0; i++)
      moves.push(() => {
        if (wire.length === 0) return;
        const [flight] = wire.splice(draw(wire.length), 1);
        sent.push(flight!);
        deliver(members[flight!.to]!, flight!, draw);
      });
    if (left.length > 0) moves.push(() => left.splice(draw(left.length), 1)[0]!());
    if (sent.length > 0 && draw(4) === 0)
      moves.push(() => {
        const again = sent[draw(sent.length)]!;
        deliver(members[again.to]!, again, draw);
      });
    states.forEach((state, rank) => {
      state.done = members[rank]!.reduced.length;
    });
    const real = states.some((state) => state.step < steps || state.done < buckets.length * steps);
    if (!real) break;
    expect(moves.length).toBeGreaterThan(0);
    moves[draw(moves.length)]!();
    states.forEach((state, rank) => {
      state.done = members[rank]!.reduced.length;
    });
  }
  const expected = expectedGradient(boundaries, steps, floats);
  for (const { gradient } of members) expect(Buffer.compare(bytesOf(gradient), bytesOf(expected))).toBe(0);
}

const cuts = (shards: number, size: number): fc.Arbitrary<number[]> =>
  fc
    .array(fc.nat(shards), { minLength: size - 1, maxLength: size - 1 })
    .map((inner) => [0, ...inner.sort((a, b) => a - b), shards]);

describe('all-reduce', () => {
  it('gives every member the tree sum, whatever the cut, the chunks and the order of arrival', () => {
    const worlds = fc
      .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5 }))
      .chain(([shards, size]) => cuts(shards, size));
    const bucketCuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 3 });
    const sizes = fc.record({
      pieceFloats: fc.constantFrom(16, 32, 64),
      directBytesMax: fc.constantFrom(0, 200, 1_000_000),
    });
    fc.assert(
      fc.property(worlds, bucketCuts, sizes, fc.integer(), (boundaries, lengths, chunkSizes, seed) => {
        let from = 0;
        const buckets = lengths.map((length) => {
          const bucket = { from, to: from + length };
          from += length;
          return bucket;
        });
        runShuffled({ boundaries, buckets, sizes: chunkSizes }, seed);
      }),
      { numRuns: 150 },
    );
  });

  it('is done at once when alone', () => {
    const { members, wire } = memoryCluster({
      boundaries: [0, 5],
      buckets: [{ from: 0, to: 40 }],
      sizes: { pieceFloats: 16, directBytesMax: 0 },
    });
    fillPartials(members[0]!, [0, 5], 1);
    members[0]!.machine.ready(1, 0);
    expect(members[0]!.reduced).toEqual(['1.0']);
    expect(wire).toHaveLength(0);
  });
});

describe('all-reduce refuses', () => {
  const boundaries = [0, 3, 7];
  const two = (directBytesMax: number) =>
    memoryCluster({
      boundaries,
      buckets: [{ from: 0, to: 64 }],
      sizes: { pieceFloats: 16, directBytesMax },
      startStep: 10,
    });
  const partial = (change: Partial<ReduceMessage> = {}): ReduceMessage =>
    ({
      type: 'partial', generation, step: 11, bucket: 0, offset: 0, data: new Uint8Array(2 * 16 * 4), ...change,
    }) as ReduceMessage; // biome-ignore format: a message
  const codeOf = (change: Partial<ReduceMessage>, before: ReduceMessage[] = []): string => {
    const { members } = two(0);
    for (const message of before) members[0]!.machine.receive(1, message);
    try {
      members[0]!.machine.receive(1, partial(change));
    } catch (error) {
      if (error instanceof ProtocolError) return error.code;
      throw error;
    }
    return 'none';
  };

  it('what is not in the plan', () => {
    expect(codeOf({})).toBe('none');
    expect(codeOf({ bucket: 1 })).toBe('unexpected');
    expect(codeOf({ offset: 8 })).toBe('unexpected');
    expect(codeOf({ offset: 32 })).toBe('unexpected');
    expect(codeOf({ data: new Uint8Array(16 * 4) })).toBe('size');
    expect(codeOf({ data: new Uint8Array(0) })).toBe('size');
    expect(codeOf({ type: 'sum', offset: 0, data: new Uint8Array(64) })).toBe('unexpected');
    expect(codeOf({ type: 'sum', offset: 32, data: new Uint8Array(60) })).toBe('size');
    expect(codeOf({ step: 13 })).toBe('overflow');
  });

  it('nothing of another generation or of a step that is over: it drops it', () => {
    expect(codeOf({ generation: generation + 1, bucket: 99 })).toBe('none');
    expect(codeOf({ step: 10, offset: 8 })).toBe('none');
  });

  it('a second result that is not equal to the first', () => {
    expect(codeOf({}, [partial()])).toBe('none');
    expect(codeOf({ data: new Uint8Array(2 * 16 * 4).fill(1) }, [partial()])).toBe('conflict');
    const sum = partial({ type: 'sum', offset: 32, data: new Uint8Array(64) });
    expect(codeOf({ type: 'sum', offset: 32, data: new Uint8Array(64) }, [sum])).toBe('none');
    expect(codeOf({ type: 'sum', offset: 32, data: new Uint8Array(64).fill(1) }, [sum])).toBe('conflict');
  });
});
