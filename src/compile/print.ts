// A program as text: one line an item, kernels with their arguments by name, tensors by name. The golden tests read it.

import type { Argument, Call, Item, Reference } from './instructions.ts';

export function printItems(items: readonly Item[]): string {
  return items.map((item) => `${printItem(item)}\n`).join('');
}

export function printItem(item: Item): string {
  switch (item.kind) {
    case 'kernel':
      return printCall(item);
    case 'gather':
      return `  gather -> ${item.writes.map(printReference).join(', ')}`;
    case 'emit':
      return `* emit bucket ${item.bucket} ${item.reads.map(printReference).join(', ')}`;
    case 'exchange':
      return `* exchange ${item.exchange} ${printReference(item.region)}`;
    case 'cut':
      return '--- next segment, after the exchanges';
    case 'guard':
      return '--- only where every loss is finite';
    case 'barrier':
      return '  barrier';
    default:
      return item satisfies never;
  }
}

function printCall({ kernel, args }: Call): string {
  const printed = Object.entries(args).map(([name, value]) => `${name}=${printArgument(value)}`);
  return `  ${kernel} ${printed.join(' ')}`;
}

function printArgument(argument: Argument): string {
  if (argument === null) return '-';
  return typeof argument === 'number' ? String(argument) : printReference(argument);
}

function printReference({ buffer, part }: Reference): string {
  return part === undefined ? buffer.name : `${buffer.name}:${part}`;
}
