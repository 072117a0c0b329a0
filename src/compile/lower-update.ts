// Lowering of the update: norm of the gradient, clipping where it is wanted, then the optimizer's kernel over runs of equal settings.

import type { TensorLayout } from '../engine/contract.ts';
import type { TensorDeclaration } from '../ir/graph.ts';
import { normBlockSize } from '../kernels/kernel-list.ts';
import { decayOf, type OptimizerDescription, optimizerTable, updateCall } from '../optim/optimizer.ts';
import { type Buffer, call, checkedCall, type Item, type Reference, whole } from './instructions.ts';
import type { StateBuffers } from './lowering.ts';

export interface UpdateInput {
  readonly declarations: readonly TensorDeclaration[];
  readonly tensors: readonly TensorLayout[];
  readonly flatSize: number;
  readonly optimizer: OptimizerDescription;
  readonly clipNorm: number | undefined;
  readonly state: StateBuffers;
}

export function lowerUpdate(input: UpdateInput): Item[] {
  const { flatSize, optimizer, clipNorm, state } = input;
  const items: Item[] = [];
  const count = Math.ceil(flatSize / normBlockSize);
  const blocks = whole(transient('norm.blocks', count));
  const norm = whole(transient('clip', 2));
  // A gradient that is not clipped has its norm taken all the same: what is not finite is never applied.
  items.push(
    call('blockNorms', { blocks, x: part(state.gradient, 0, flatSize, 'gradient'), count: flatSize }),
    call('clipFactor', { clip: norm, blocks, count, maximum: clipNorm ?? Number.POSITIVE_INFINITY }),
    { kind: 'guard' },
  );
  const clip: Reference | null = clipNorm === undefined ? null : norm;
  const { kernel, scalars } = updateCall(optimizer);
  const { slots } = optimizerTable[optimizer.type];
  for (const { from, to, label, decay, decoupled } of runsOf(input)) {
    const [w, g] = [state.parameters, state.gradient].map((buffer) => part(buffer, from, to - from, label));
    const args = {
      w: w!, g: g!, count: to - from, clip, decay, decoupled, ...scalars,
      ...Object.fromEntries(slots.map((slot, i) => [slot, part(state.slots[i]!, from, to - from, label)])),
    }; // biome-ignore format: a table
    items.push(checkedCall(kernel, args));
  }
  return items;
}

interface Run {
  from: number;
  to: number;
  label: string;
  decay: number;
  decoupled: number;
}

/** The longest stretches of the flat vector with the same decay; gaps between tensors belong to the one before. */
function runsOf({ declarations, tensors, flatSize, optimizer }: UpdateInput): Run[] {
  const runs: Run[] = [];
  tensors.forEach(({ name, offset }, i) => {
    const settings = decayOf(optimizer, declarations[i]!.role);
    const to = tensors[i + 1]?.offset ?? flatSize;
    const last = runs.at(-1);
    if (last && last.decay === settings.decay && last.decoupled === settings.decoupled) {
      last.to = to;
      last.label = `${last.label.split('..')[0]}..${name}`;
    } else {
      runs.push({ from: offset, to, label: name, ...settings });
    }
  });
  return runs;
}

function part(buffer: Buffer, from: number, size: number, label: string): Reference {
  return { buffer, from, size, part: label };
}

function transient(name: string, size: number): Buffer {
  return { name, size, rowSize: null, permanent: false };
}
