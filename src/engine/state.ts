// The state of a run as flat vectors (what the arena holds, what travels) and as named tensors (what a checkpoint
// holds), and the way between the two. Pure.

import type { NamedTensor } from '../checkpoint/state.ts';
import { flatLayout } from '../compile/layout.ts';
import { LockstepError } from '../errors.ts';
import type { Model } from '../nn/model.ts';
import { type OptimizerDescription, optimizerTable } from '../optim/optimizer.ts';
import type { TensorLayout } from './contract.ts';
import type { Floats } from './memory.ts';

export interface StateLayout {
  readonly parameters: readonly TensorLayout[];
  readonly statistics: readonly TensorLayout[];
  /** Flat vectors in the order they travel; those of no size are left out. */
  readonly sections: readonly StateSection[];
}

export interface StateSection {
  readonly name: string;
  readonly kind: 'parameters' | 'statistics' | 'slot';
  /** In floats, gaps included. */
  readonly size: number;
  readonly tensors: readonly TensorLayout[];
}

export function stateLayout(model: Model, optimizer: OptimizerDescription): StateLayout {
  const parameters = flatLayout(model.parameters);
  const statistics = flatLayout(model.statistics);
  const section = (name: string, kind: StateSection['kind'], of: typeof parameters): StateSection => ({
    name,
    kind,
    size: of.size,
    tensors: of.tensors,
  });
  const slots = Array.from({ length: optimizerTable[optimizer.type].slots.length }, (_, i) =>
    section(`slot${i}`, 'slot', parameters),
  );
  return {
    parameters: parameters.tensors,
    statistics: statistics.tensors,
    sections: [
      section('parameters', 'parameters', parameters),
      section('statistics', 'statistics', statistics),
      ...slots,
    ].filter(({ size }) => size > 0),
  };
}

export function stateBytesOf({ sections }: StateLayout): number {
  return sections.reduce((sum, { size }) => sum + size * Float32Array.BYTES_PER_ELEMENT, 0);
}

/** The tensors of a flat vector: views of it where it is of float32. */
export function namedTensors(flat: Floats, tensors: readonly TensorLayout[]): NamedTensor[] {
  return tensors.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: floatsOf(flat.subarray(offset, offset + size)),
  }));
}

const floatsOf = (flat: Floats): Float32Array =>
  flat instanceof Float32Array ? flat : new Float32Array(flat);

/** The flat vector of named tensors. Throws LOCKSTEP_CHECKPOINT_MISMATCH where they are not this model's. */
export function flatVector(
  named: readonly NamedTensor[],
  { size, tensors, name }: StateSection,
): Float32Array {
  const flat = new Float32Array(size);
  const byName = new Map(named.map((tensor) => [tensor.name, tensor]));
  for (const layout of tensors) {
    const found = byName.get(layout.name);
    if (found === undefined) {
      throw new LockstepError(
        'LOCKSTEP_CHECKPOINT_MISMATCH',
        `the checkpoint has no ${name} of tensor "${layout.name}"; it was made by another model or optimizer`,
      );
    }
    if (found.shape.join() !== layout.shape.join()) {
      throw new LockstepError(
        'LOCKSTEP_CHECKPOINT_MISMATCH',
        `tensor "${layout.name}" is [${found.shape}] in the checkpoint, but [${layout.shape}] in the model`,
      );
    }
    flat.set(found.data, layout.offset);
  }
  return flat;
}
