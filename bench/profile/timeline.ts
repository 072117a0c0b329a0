// The instructions of one training step in the order they run: where their words lie and what they have to do. Pure.

import type { Program } from '../../src/compile/compile.ts';
import type { Item } from '../../src/compile/instructions.ts';
import { assert } from '../../src/errors.ts';
import { decodeInstruction, type KernelName } from '../../src/kernels/kernel-list.ts';
import { bytesOf, flopsOf, subjectOf } from './cost.ts';

export interface TimedInstruction {
  readonly kernel: KernelName;
  /** The tensor it makes. */
  readonly subject: string;
  /** Words of the arena. */
  readonly from: number;
  readonly to: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Forward, backward and update; `rows`: samples of this worker in a step. */
export function timelineOf(program: Program, rows: number): TimedInstruction[] {
  const { compiled } = program;
  const items = [...program.step, ...program.update].filter(
    (item): item is Extract<Item, { kind: 'kernel' | 'barrier' }> =>
      item.kind === 'kernel' || item.kind === 'barrier',
  );
  const instructions: TimedInstruction[] = [];
  for (const { stretches } of [...compiled.step, ...compiled.update]) {
    for (const stretch of stretches) {
      let at = stretch.from - compiled.programOffset;
      const end = stretch.to - compiled.programOffset;
      while (at < end) {
        const { name, args, next } = decodeInstruction(compiled.program, at);
        const item = items[instructions.length];
        const call = item?.kind === 'kernel' ? item : null;
        assert(name === (call?.kernel ?? item?.kind), `instruction ${instructions.length} is the listing's`);
        instructions.push({
          kernel: name,
          subject: call === null ? '' : subjectOf(call),
          from: at + compiled.programOffset,
          to: next + compiled.programOffset,
          flops: flopsOf(name, args, rows),
          bytes: call === null ? 0 : bytesOf(call),
        });
        at = next;
      }
    }
  }
  assert(instructions.length === items.length, 'the listing has as many instructions as the program');
  return instructions;
}
