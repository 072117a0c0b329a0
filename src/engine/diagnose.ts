// After a loss that is not finite: runs the step once more in the calling thread, kernel by kernel, and says which tensor
// went bad first. The run is over by then: the arena serves one lane from now on; the state is only read.

import type { Backend } from '../kernels/backend.ts';
import { arenaHeaderFields, stepTableFields } from '../kernels/step-table.ts';
import { Lane, type Splits } from './lane.ts';
import type { EngineMemory, Floats } from './memory.ts';

export interface BadTensor {
  /** As in the printed program: 'parameters of dense1.weight', 'inputs', 'conv2'. */
  readonly tensor: string;
  /** Global id of the sample in whose row it lies; null where the tensor has no rows. */
  readonly sample: number | null;
}

/**
 * The first tensor of step table `slot` with an element that is not finite, or null. Pauses after every instruction, so that the
 * thread may do something else meanwhile. With peers the swapped statistics
 * of the failed step must still be in place. No lane may be running.
 */
export function* searchNotFinite(
  memory: EngineMemory,
  backend: Backend,
  splits: Splits,
  slot: number,
): Generator<void, BadTensor | null> {
  const { compiled, arena } = memory;
  const { ints, floats } = arena;
  const table = memory.tableAt(slot);
  for (const { name, offset, size } of compiled.parameters) {
    if (badIndex(memory.parameters, offset, size) >= 0) return { tensor: `parameter ${name}`, sample: null };
  }
  const rows = ints[table + stepTableFields.indexOf('rows')]!;
  const ids = ints[table + stepTableFields.indexOf('sampleIdsOffset')]!;
  const badRow = (name: string, offset: number, rowSize: number): BadTensor | null => {
    const index = badIndex(floats, offset, rows * rowSize);
    return index < 0 ? null : { tensor: name, sample: ints[ids + Math.floor(index / rowSize)]! };
  };

  // All rows are lane 0's now.
  ints[arenaHeaderFields.indexOf('lanes')] = 1;
  ints[ints[table + stepTableFields.indexOf('laneRowsOffset')]! + 1] = rows;
  const runner = backend.attach(arena.handle, 0);
  new Lane(compiled, runner, 0, splits).gather('train', table);
  const source =
    badRow('inputs', compiled.inputs.offset, compiled.inputSize) ??
    badRow('targets', compiled.targets.offset, compiled.targetSize);
  if (source) return source;
  for (const { from, to, writes } of compiled.outline) {
    yield;
    runner.run(from, to, table);
    for (const { name, offset, size, rowSize } of writes) {
      if (rowSize === null) {
        if (badIndex(floats, offset, size) >= 0) return { tensor: name, sample: null };
        continue;
      }
      const bad = badRow(name.replace(/\.d?\d+$/, ''), offset, rowSize);
      if (bad) return bad;
    }
  }
  return null;
}

function badIndex(floats: Floats, from: number, size: number): number {
  for (let i = 0; i < size; i += 1) {
    if (!Number.isFinite(floats[from + i]!)) return i;
  }
  return -1;
}
