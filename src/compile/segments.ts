// The last pass: items with barriers -> words, stretches and segments.

import type { Outline, ProgramEvent, Segment, Stretch } from '../engine/contract.ts';
import { encodeInstruction, type KernelArguments, type KernelName } from '../kernels/kernel-list.ts';
import { type Argument, type Call, type Item, writesOf } from './instructions.ts';
import type { Places } from './plan.ts';

export interface Encoded {
  readonly words: readonly number[];
  readonly segments: readonly Segment[];
  /** Every call that is not guarded. */
  readonly outline: readonly Outline[];
}

/** The words of `items`, which will lie at `base`. */
export function encode(items: readonly Item[], places: Places, base: number): Encoded {
  const words: number[] = [];
  const segments: Segment[] = [];
  const outline: Outline[] = [];
  let stretches: Stretch[] = [];
  let from = base;
  let guarded = false;
  const endStretch = (event: ProgramEvent | null): void => {
    const to = base + words.length;
    if (to > from || event) stretches.push({ from, to, event, guarded });
    from = to;
  };
  const endSegment = (): void => {
    endStretch(null);
    if (stretches.length > 0) segments.push({ stretches });
    stretches = [];
  };
  for (const item of items) {
    switch (item.kind) {
      case 'kernel':
        if (!guarded) outline.push(outlineOf(item, places, base + words.length));
        words.push(...encodeCall(item, places));
        break;
      case 'barrier':
        words.push(...encodeInstruction('barrier', {}));
        break;
      case 'emit':
        endStretch({ kind: 'emit', bucket: item.bucket });
        break;
      case 'exchange':
        endStretch({ kind: 'exchange', exchange: item.exchange });
        break;
      case 'guard':
        endStretch(null);
        guarded = true;
        break;
      case 'cut':
        endSegment();
        break;
      case 'gather':
        break;
      default:
        item satisfies never;
    }
  }
  endSegment();
  return { words, segments, outline };
}

function encodeCall({ kernel, args }: Call, places: Places): number[] {
  const numbers = Object.entries(args).map(([name, value]) => [name, numberOf(value, places)]);
  return encodeInstruction(kernel, Object.fromEntries(numbers) as KernelArguments<KernelName>);
}

function numberOf(argument: Argument, places: Places): number {
  if (argument === null) return -1;
  if (typeof argument === 'number') return argument;
  return places.get(argument.buffer)! + argument.from;
}

function outlineOf(call: Call, places: Places, from: number): Outline {
  const writes = writesOf(call).map(({ buffer, from: start, size, part }) => ({
    name: part ?? buffer.name,
    offset: places.get(buffer)! + start,
    size,
    rowSize: buffer.rowSize,
  }));
  return { from, to: from + encodeCall(call, places).length, writes };
}
