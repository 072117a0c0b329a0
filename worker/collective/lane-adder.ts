// The tree adder over the backend's kernel (sumMerge), in a small arena of its own: blocks of the sources are copied
// in, added, and the sum is copied out, all within the second-level cache. The bits are those of tree-adder.ts.

import { assert } from '../../src/errors.ts';
import type { Backend, LaneRunner } from '../../src/kernels/backend.ts';
import { encodeInstruction } from '../../src/kernels/kernel-list.ts';
import {
  arenaHeaderFields,
  arenaHeaderSize,
  type StepTableField,
  stepTableFields,
} from '../../src/kernels/step-table.ts';
import type { TreeAdder } from './tree-adder.ts';

/** Floats of all sources of a block together. */
const stagedFloatsMax = 32_768;
const lineFloats = 16;

const roundUp = (value: number): number => Math.ceil(value / lineFloats) * lineFloats;

export class LaneAdder implements TreeAdder {
  readonly #runner: LaneRunner;
  readonly #floats: Float32Array;
  readonly #table: number;
  readonly #program: number;
  readonly #programEnd: number;
  /** Word of the instruction that says how many floats are added. */
  readonly #countWord: number;
  readonly #blockFloats: number;
  readonly #staged: number;
  readonly #out: number;
  readonly #nodes: number;

  constructor(backend: Backend, merges: readonly number[]) {
    this.#nodes = merges.length;
    this.#blockFloats = Math.max(
      lineFloats,
      Math.floor(stagedFloatsMax / this.#nodes / lineFloats) * lineFloats,
    );
    this.#table = arenaHeaderSize;
    const mergesAt = this.#table + roundUp(stepTableFields.length);
    this.#program = mergesAt + roundUp(merges.length);
    this.#out = this.#program + lineFloats;
    this.#staged = this.#out + this.#blockFloats;
    const size = this.#staged + this.#nodes * this.#blockFloats;
    const arena = backend.createArena(size);
    assert(arena.floats instanceof Float32Array, 'workers with peers compute in float32');
    this.#floats = arena.floats;
    const { ints } = arena;
    ints[arenaHeaderFields.indexOf('lanes')] = 1;
    const field = (name: StepTableField, value: number): void => {
      ints[this.#table + stepTableFields.indexOf(name)] = value;
    };
    field('globalNodes', this.#nodes);
    field('globalMergesOffset', mergesAt);
    ints.set(merges, mergesAt);
    const stride = this.#blockFloats;
    const words = encodeInstruction('sumMerge', {
      out: this.#out,
      nodes: this.#staged,
      stride,
      count: stride,
    });
    assert(words.length <= lineFloats, 'one instruction fits into a line');
    ints.set(words, this.#program);
    this.#programEnd = this.#program + words.length;
    this.#countWord = this.#programEnd - 1;
    assert(ints[this.#countWord] === stride, 'the count is the last argument of sumMerge');
    this.#runner = backend.attach(arena.handle, 0);
  }

  add(out: Float32Array, sources: readonly Float32Array[]): void {
    assert(sources.length === this.#nodes, 'there is a source for every node');
    const floats = this.#floats;
    const { ints } = this.#runner.arena;
    for (let from = 0; from < out.length; from += this.#blockFloats) {
      const to = Math.min(out.length, from + this.#blockFloats);
      sources.forEach((source, node) => {
        floats.set(source.subarray(from, to), this.#staged + node * this.#blockFloats);
      });
      ints[this.#countWord] = to - from;
      this.#runner.run(this.#program, this.#programEnd, this.#table);
      out.set(floats.subarray(this.#out, this.#out + to - from), from);
    }
  }
}
