// Compiled programs as golden texts, and what must hold of every plan: buffers alive at once never overlap, barriers
// stand wherever lanes depend on one another, buckets do not depend on the world.

import { describe, expect, it } from 'vitest';
import { compileProgram, type Program } from '../../../src/compile/compile.ts';
import { type Item, type Reference, readsOf, writesOf } from '../../../src/compile/instructions.ts';
import { lifetimes } from '../../../src/compile/plan.ts';
import { printItems } from '../../../src/compile/print.ts';
import { kernels } from '../../../src/kernels/kernel-list.ts';
import { expectGolden } from '../../golden/golden.ts';
import { cnn, mlp } from '../engine/jobs.ts';
import { evenBoundaries, type Job, prepare } from '../engine/world.ts';
import { networks } from '../nn/networks.ts';

interface World {
  readonly boundaries: readonly number[];
  readonly rank: number;
  readonly lanes: number;
}

const alone = (lanes: number): World => ({ boundaries: [0, 8], rank: 0, lanes });
const withPeers = (lanes: number): World => ({ boundaries: [0, 5, 8], rank: 0, lanes });

function compile(job: Job, { boundaries, rank, lanes }: World): Program {
  const [firstShard, endShard] = [boundaries[rank]!, boundaries[rank + 1]!];
  const assignment = { shards: 8, firstShard, endShard, boundaries, lanes };
  const { batch, clipNorm, bucketBytes } = job;
  return compileProgram({ ...prepare(job), batch, clipNorm, bucketBytes, assignment });
}

const graph: Job = { ...mlp, model: networks.graph.model, options: networks.graph.options };
const jobs: readonly (readonly [string, Job])[] = [
  ['mlp', mlp],
  ['cnn', cnn],
  ['graph', graph],
];
const worlds = [alone(1), alone(3), withPeers(2), { boundaries: [0, 0, 3, 8], rank: 0, lanes: 2 }];

describe('a compiled program', () => {
  it.each([
    ['mlp', 'alone', mlp, alone(2)],
    ['mlp', 'peers', mlp, withPeers(1)],
    ['cnn', 'alone', cnn, alone(2)],
    ['cnn', 'peers', cnn, withPeers(2)],
    ['graph', 'alone', graph, alone(1)],
  ] as const)('of the %s, %s, reads as the golden text', (name, world, job, where) => {
    const { step, update, evaluate } = compile(job, where);
    const parts = [['step', step], ['update', update], ['evaluate', evaluate]] as const; // biome-ignore format: a table
    const text = parts.map(([title, items]) => `${title}\n${printItems(items)}`).join('\n');
    expectGolden(`${name}.${world}.program.txt`, text);
  });

  it('has buckets and exchanges that are the same in every world with peers', () => {
    const rows = [2, 3, 5].flatMap((workers) =>
      Array.from({ length: workers }, (_, rank) => {
        const { compiled } = compile(cnn, {
          boundaries: evenBoundaries(workers, 8),
          rank,
          lanes: 1 + (rank % 2),
        });
        const events = compiled.step.map(({ stretches }) => stretches.flatMap(({ event }) => event ?? []));
        return JSON.stringify([
          compiled.buckets,
          compiled.exchanges.map(({ recordSize }) => recordSize),
          events,
        ]);
      }),
    );
    expect(new Set(rows).size).toBe(1);
    expect(compile(cnn, alone(1)).compiled.buckets).toEqual(JSON.parse(rows[0]!)[0]);
  });

  it('cuts buckets at parameters, last first, each within the limit unless one parameter is larger', () => {
    const { buckets, parameters, gradient } = compile(cnn, alone(1)).compiled;
    expect(buckets[0]!.to).toBe(gradient.size);
    expect(buckets.at(-1)!.from).toBe(0);
    buckets.forEach(({ from, to }, i) => {
      expect(to).toBe(i === 0 ? gradient.size : buckets[i - 1]!.from);
      const inside = parameters.filter(({ offset }) => from <= offset && offset < to);
      expect(inside[0]!.offset).toBe(from);
      expect((to - from) * 4 <= cnn.bucketBytes! || inside.length === 1).toBe(true);
    });
  });

  it('takes as little memory for activations as its lifetimes allow, and every buffer starts at 64 bytes', () => {
    const { step, places } = compile(cnn, alone(1));
    const lives = lifetimes(step);
    const total = lives.reduce((sum, { buffer }) => sum + buffer.size, 0);
    const start = Math.min(...lives.map(({ buffer }) => places.get(buffer)!));
    const end = Math.max(...lives.map(({ buffer }) => places.get(buffer)! + buffer.size));
    expect(end - start).toBeLessThan(0.8 * total);
    expect([...places.values()].every((offset) => offset % 16 === 0)).toBe(true);
  });
});

describe('dropout', () => {
  const callsAt = (rate: number) => {
    const layers = [{ type: 'dense', units: 16 }, { type: 'dropout', rate }, { type: 'dense', units: 3 }] as const; // biome-ignore format: a network
    const { step } = compile({ ...mlp, model: { input: [72], layers: [...layers] } }, alone(1));
    return step.flatMap((item) => (item.kind === 'kernel' && item.kernel === 'dropout' ? [item.args] : []));
  };

  it('keeps by a threshold in 32 bits, forward and backward', () => {
    expect(callsAt(0.25)).toMatchObject([1, 2].map(() => ({ threshold: 0xc0000000 | 0, scale: 4 / 3 })));
    expect(callsAt(5.9604645e-8).map(({ threshold }) => threshold)).toEqual([-257, -257]);
  });

  it('of rate 0 drops nothing, and a rate that would round to nothing is refused', () => {
    expect(callsAt(0)).toEqual([]);
    for (const rate of [1e-12, 1e-20])
      expect(() => callsAt(rate)).toThrow('makes the scale 1 / (1 - rate) 1');
  });
});

describe.each(jobs)('every plan of the %s', (_, job) => {
  it.each(worlds)('keeps buffers that are alive at once apart, in $boundaries with $lanes lanes', (world) => {
    const { step, update, evaluate, places } = compile(job, world);
    for (const items of [[...step, ...update], evaluate]) {
      const owner = new Map<number, string>();
      const lives = lifetimes(items);
      items.forEach((_item, index) => {
        owner.clear();
        for (const { buffer } of lives.filter(({ from, to }) => from <= index && index <= to)) {
          for (let at = places.get(buffer)!; at < places.get(buffer)! + buffer.size; at += 1) {
            if (owner.has(at)) expect.fail(`${buffer.name} and ${owner.get(at)} share element ${at}`);
            owner.set(at, buffer.name);
          }
        }
      });
    }
    const permanent = [...places].filter(([buffer]) => buffer.permanent).sort((a, b) => a[1] - b[1]);
    permanent.slice(1).forEach(([buffer, offset], i) => {
      const [before, start] = permanent[i]!;
      expect(start + before.size, `${before.name} ends ahead of ${buffer.name}`).toBeLessThanOrEqual(offset);
    });
  });

  it.each(worlds)(
    'has a barrier between lanes that depend on one another, in $boundaries with $lanes lanes',
    (world) => {
      const { step, update, evaluate, places } = compile(job, world);
      for (const items of [step, update, evaluate, world.boundaries.length === 2 ? [...step, ...step] : []]) {
        expect(racesOf(items, places, world.lanes)).toEqual([]);
      }
    },
  );

  it('would not pass without its barriers', () => {
    const { step, places } = compile(job, alone(3));
    const unguarded = step.filter(({ kind }) => kind !== 'barrier');
    expect(racesOf(unguarded, places, 3).length).toBeGreaterThan(3);
  });
});

/**
 * The dumb twin of the barrier pass: for each lane the elements it may touch, marked one by one since the last meeting;
 * a race is an element that one lane writes and another touches.
 */
function racesOf(items: readonly Item[], places: Program['places'], lanes: number): string[] {
  const races: string[] = [];
  let writers = new Map<number, Set<number>>();
  let readers = new Map<number, Set<number>>();
  const mark = (marks: Map<number, Set<number>>, at: number, lane: number): void => {
    const set = marks.get(at) ?? new Set();
    marks.set(at, set.add(lane));
  };
  const others = (set: Set<number> | undefined, lane: number): boolean =>
    set !== undefined && (set.size > 1 || !set.has(lane));
  for (const item of items) {
    if (item.kind === 'barrier' || item.kind === 'cut') {
      writers = new Map();
      readers = new Map();
      continue;
    }
    const written = new Map<number, Set<number>>();
    for (const write of writesOf(item))
      touched(item, write, places, lanes, (at, lane) => mark(written, at, lane));
    for (const [at, by] of written) {
      for (const lane of by) {
        if (others(writers.get(at), lane) || others(readers.get(at), lane))
          races.push(`${label(item)} writes ${at}`);
      }
    }
    for (const read of readsOf(item)) {
      touched(item, read, places, lanes, (at, lane) => {
        if (others(writers.get(at), lane)) races.push(`${label(item)} reads ${at}`);
        mark(readers, at, lane);
      });
    }
    for (const [at, by] of written) for (const lane of by) mark(writers, at, lane);
  }
  return [...new Set(races)];
}

function touched(
  item: Item,
  { buffer, from, size, repeat }: Reference,
  places: Program['places'],
  lanes: number,
  visit: (at: number, lane: number) => void,
): void {
  const start = places.get(buffer)! + from;
  const partition =
    item.kind === 'kernel' ? kernels[item.kernel].partition : item.kind === 'gather' ? 'rows' : 'all';
  const rows = buffer.rowSize === null ? 0 : buffer.size / buffer.rowSize;
  for (let node = 0; node < (repeat?.count ?? 1); node += 1) {
    for (let i = 0; i < size; i += 1) {
      const at = start + i + node * (repeat?.stride ?? 0);
      if (partition === 'single') visit(at, 0);
      else if (partition === 'rows' && buffer.rowSize !== null) {
        // Rows divided unevenly, as a ragged batch's are.
        const row = Math.floor(i / buffer.rowSize);
        visit(at, Math.min(lanes - 1, Math.floor((row * lanes) / Math.max(1, rows - 1))));
      } else for (let lane = 0; lane < lanes; lane += 1) visit(at, lane);
    }
  }
}

const label = (item: Item): string => (item.kind === 'kernel' ? item.kernel : item.kind);
