// A backend that runs a compiled program instruction by instruction and watches the whole arena. An instruction may change
// its own outputs and nothing else. What nobody has written in a step, and what lies between buffers, is a NaN, so that an
// instruction which reads it shows it.

import type { Program } from '../../src/compile/compile.ts';
import {
  type Buffer as ArenaBuffer,
  type Item,
  type Reference,
  writesOf,
} from '../../src/compile/instructions.ts';
import type { Segment, TensorLayout } from '../../src/engine/contract.ts';
import type { Arena, Backend, LaneRunner } from '../../src/kernels/backend.ts';
import { resultKernels } from '../../src/kernels/battery-case.ts';
import { decodeInstruction, type KernelName } from '../../src/kernels/kernel-list.ts';
import {
  arenaHeaderFields,
  decodeStepTable,
  laneRowsOf,
  resultsHeader,
  type StepTable,
} from '../../src/kernels/step-table.ts';

/** Words between buffers: a signalling NaN, which arithmetic makes quiet, so that not even x + 0 leaves it as it was. */
const guardWord = 0x7f85afe5;
/** Words of buffers that nobody has written in this step; also a signalling NaN. */
export const staleWord = 0x7f91dead;

/** Words of the scratch that are spoilt before every instruction: all that a small model uses. The rest is once a stretch. */
const scratchInUse = 1 << 16;

/** Floats between two buffers of a program that is compiled to be watched. */
export const gapFloats = 48;

export interface WatchedBackendOptions {
  readonly backend: Backend;
  /** Compiled for one lane; with `gapFloats` where it is guarded. */
  readonly program: Program;
  /** false: the arena is left as it is; the outputs are reported all the same. */
  readonly guarded: boolean;
  /** Each instruction is run by so many lanes, one after the other. */
  readonly lanes: number;
  /** Called after every instruction with its name and the words of its outputs. */
  readonly onOutputs: (instruction: string, outputs: readonly Int32Array[]) => void;
}

/** Words from .. to-1 of the arena. */
interface Range {
  readonly from: number;
  readonly to: number;
}

interface Instruction {
  readonly name: string;
  readonly kernel: KernelName;
  readonly item: Item;
  readonly next: number;
}

/** A backend for one program, one arena and one thread. */
export function watchedBackend(options: WatchedBackendOptions): Backend {
  const { backend, lanes } = options;
  return {
    ...backend,
    attach: (handle) => {
      const runners = Array.from({ length: lanes }, (_, lane) => backend.attach(handle, lane));
      return watch(options, runners);
    },
  };
}

function watch(options: WatchedBackendOptions, runners: readonly LaneRunner[]): LaneRunner {
  const { program, guarded, onOutputs } = options;
  const { arena } = runners[0]!;
  const { ints } = arena;
  const instructions = instructionsOf(program);
  const starts = [program.compiled.step, [program.compiled.evaluate]].map(firstWord);
  const guards = guarded ? new Guards(program, arena) : null;
  return {
    arena,
    run(from, to, tableOffset) {
      const table = decodeStepTable(ints, tableOffset);
      guards?.enter(starts.includes(from) ? table.rows : null);
      for (let at = from; at < to; ) {
        const instruction = instructions.get(at)!;
        if (instruction.kernel !== 'barrier') {
          const outputs = outputsOf(instruction, program, table);
          guards?.before(instruction);
          runLanes(runners, ints, at, instruction.next, tableOffset, table);
          guards?.after(instruction, outputs);
          onOutputs(instruction.name, outputs.map((range) => ints.slice(range.from, range.to))); // biome-ignore format: one call
        }
        at = instruction.next;
      }
      guards?.leave();
    },
  };
}

/** What is filled and checked around the instructions of a guarded program. */
class Guards {
  readonly #program: Program;
  readonly #ints: Int32Array;
  readonly #buffers: readonly (Range & { readonly buffer: ArenaBuffer })[];
  readonly #scratch: Range;
  /** Between the tensors of the flat vectors; 0 wherever the optimizer and the norm run over it. */
  readonly #padding: readonly Range[];
  readonly #before: Int32Array;

  constructor(program: Program, { ints }: Arena) {
    this.#program = program;
    this.#ints = ints;
    this.#buffers = [...program.places]
      .map(([buffer, from]) => ({ buffer, from, to: from + buffer.size }))
      .sort((a, b) => a.from - b.from || a.to - b.to);
    this.#scratch = this.#buffers.find(({ buffer }) => buffer.name === 'scratch')!;
    const { parameters, statistics, state } = program.compiled;
    this.#padding = [
      ...paddingOf(parameters, state.parameters.offset, state.parameters.size),
      ...paddingOf(statistics, state.statistics.offset, state.statistics.size),
    ];
    this.#before = new Int32Array(ints.length);
    const end = program.compiled.programOffset;
    let free: number = arenaHeaderFields.length;
    for (const { from, to } of [...this.#buffers, { from: end, to: end }]) {
      ints.fill(guardWord, free, Math.max(free, from));
      free = Math.max(free, to);
    }
  }

  /** Ahead of a stretch; `rows`: the stretch is the first of a step of so many rows, else null. */
  enter(rows: number | null): void {
    if (rows !== null) this.#spoil(rows);
    this.#spoilScratch(this.#scratch.to - this.#scratch.from);
    this.#fillPadding(guardWord);
  }

  leave(): void {
    this.#fillPadding(0);
  }

  before({ item }: Instruction): void {
    if (writesOf(item).some(({ buffer }) => buffer.name === 'parameters')) this.#fillPadding(0);
    this.#spoilScratch(scratchInUse);
    for (const { from, to } of this.#watched()) this.#before.set(this.#ints.subarray(from, to), from);
  }

  /** Throws where words outside of `outputs` have changed. */
  after({ name }: Instruction, outputs: readonly Range[]): void {
    for (const { from, to } of this.#watched()) {
      let at = from;
      for (const output of [...outputs, { from: to, to }].sort((a, b) => a.from - b.from)) {
        const end = Math.min(to, output.from);
        if (end > at && bytes(this.#ints, at, end).compare(bytes(this.#before, at, end)) !== 0) {
          while (this.#ints[at] === this.#before[at]) at += 1;
          throw new Error(`${name} wrote outside of its outputs: ${this.#describe(at)}`);
        }
        at = Math.max(at, output.to);
      }
    }
  }

  /** Everything but the scratch, which is nobody's result. */
  #watched(): Range[] {
    return [
      { from: 0, to: this.#scratch.from },
      { from: this.#scratch.to, to: this.#ints.length },
    ];
  }

  /** Spoils what a step must not find: all but the state, what the caller writes, and the samples of this step. */
  #spoil(rows: number): void {
    const { parameters, state, gradient, partials } = this.#program.compiled;
    const kept = new Set([state.parameters, state.statistics, ...state.slots].map(({ offset }) => offset));
    for (const { buffer, from, to } of this.#buffers) {
      if (['barrier', 'tables', 'scratch'].includes(buffer.name) || kept.has(from)) continue;
      if (from === gradient.offset || from === partials.offset) {
        // The norm runs over the padding, where nobody writes.
        for (let node = from; node < to; node += partials.stride) {
          for (const { offset, size } of parameters)
            this.#ints.fill(staleWord, node + offset, node + offset + size);
        }
      } else {
        const own = ['inputs', 'targets'].includes(buffer.name) ? rows * buffer.rowSize! : 0;
        this.#ints.fill(staleWord, from + own, to);
      }
    }
  }

  #spoilScratch(words: number): void {
    this.#ints.fill(staleWord, this.#scratch.from, Math.min(this.#scratch.to, this.#scratch.from + words));
  }

  #fillPadding(word: number): void {
    for (const { from, to } of this.#padding) this.#ints.fill(word, from, to);
  }

  #describe(word: number): string {
    const ahead = this.#buffers.findLast(({ from }) => from <= word);
    const next = this.#buffers.find(({ from }) => from > word);
    if (ahead !== undefined && word < ahead.to)
      return `word ${word - ahead.from} of ${ahead.buffer.name} (${ahead.buffer.size} words)`;
    const places = [
      ...(ahead ? [`${word - ahead.to} words behind ${ahead.buffer.name}`] : []),
      ...(next ? [`${next.from - word} words ahead of ${next.buffer.name}`] : []),
    ];
    return places.join(', ') || `word ${word}`;
  }
}

/** Every instruction of a program by its first word. */
function instructionsOf({ step, update, evaluate, compiled }: Program): Map<number, Instruction> {
  const words = new Int32Array(compiled.programOffset + compiled.program.length);
  words.set(compiled.program, compiled.programOffset);
  const found = new Map<number, Instruction>();
  let at = compiled.programOffset;
  for (const [part, items] of Object.entries({ step, update, evaluate })) {
    for (const [index, item] of items.entries()) {
      if (item.kind !== 'kernel' && item.kind !== 'barrier') continue;
      const { name: kernel, next } = decodeInstruction(words, at);
      const written = writesOf(item).map(({ buffer, part: tensor }) => tensor ?? buffer.name);
      const name = `${kernel} -> ${written.join(', ') || 'results'} (item ${index} of ${part})`;
      found.set(at, { name, kernel, item, next });
      at = next;
    }
  }
  return found;
}

function firstWord(segments: readonly Segment[]): number | undefined {
  return segments.flatMap(({ stretches }) => stretches).find(({ from, to }) => to > from)?.from;
}

/** What an instruction may write: of buffers with rows only those of the step. */
function outputsOf({ item, kernel }: Instruction, { places, compiled }: Program, table: StepTable): Range[] {
  const ranges = writesOf(item).flatMap(({ buffer, from, size, repeat }: Reference): Range[] => {
    const start = places.get(buffer)! + from;
    const length = buffer.rowSize === null ? size : Math.min(size, table.rows * buffer.rowSize);
    const { count, stride } = repeat ?? { count: 1, stride: 0 };
    return Array.from({ length: count }, (_, i) => ({
      from: start + i * stride,
      to: start + i * stride + length,
    }));
  });
  if (!resultKernels.has(kernel)) return ranges;
  const results = resultsHeader + compiled.assignment.shards * compiled.reports.length;
  return [...ranges, { from: table.resultsOffset, to: table.resultsOffset + results }];
}

/** Between the tensors of a flat vector at `offset`, and behind the last. */
function paddingOf(tensors: readonly TensorLayout[], offset: number, size: number): Range[] {
  return tensors.map((tensor, i) => ({
    from: offset + tensor.offset + tensor.size,
    to: offset + (tensors[i + 1]?.offset ?? size),
  }));
}

/** One instruction on every lane. The arena is planned for one, so that all use its scratch in turn. */
function runLanes(
  runners: readonly LaneRunner[],
  ints: Int32Array,
  from: number,
  to: number,
  tableOffset: number,
  table: StepTable,
): void {
  const [lanesWord, scratchWord, sizeWord] = (['lanes', 'scratchOffset', 'scratchSize'] as const).map(
    (field) => arenaHeaderFields.indexOf(field),
  ) as [number, number, number];
  const scratch = ints[scratchWord]!;
  const put = (laneCount: number): void => {
    ints[lanesWord] = laneCount;
    // The list's place in the table is a multiple of 16 words long.
    ints.fill(0, table.laneRowsOffset, table.laneRowsOffset + runners.length + 1);
    ints.set(laneRowsOf(table.rows, laneCount), table.laneRowsOffset);
  };
  put(runners.length);
  for (const [lane, runner] of runners.entries()) {
    ints[scratchWord] = scratch - lane * ints[sizeWord]!;
    runner.run(from, to, tableOffset);
  }
  ints[scratchWord] = scratch;
  put(1);
}

function bytes(words: Int32Array, from: number, to: number): Buffer {
  return Buffer.from(words.buffer, words.byteOffset + from * 4, (to - from) * 4);
}
