// The reference backend: float32 trains (slowly) with a fingerprint of its own, float64 serves central differences.
// In the float64 form floats and ints are two memories; in float32 they are one, as in the fast backends.

import { assert, LockstepError } from '../../errors.ts';
import type { Arena, ArenaHandle, Backend, LaneRunner } from '../backend.ts';
import { decodeInstruction } from '../kernel-list.ts';
import { arenaHeaderFields, decodeStepTable } from '../step-table.ts';
import { referenceKernels } from './kernels.ts';
import type { Lane } from './lane.ts';

export function referenceBackend(bits: 32 | 64): Backend {
  return {
    name: 'reference',
    variant: `float${bits}`,
    createArena: (size) => {
      const ints = allocate(size * 4);
      return attachArena({ kind: 'reference', floats: bits === 32 ? ints : allocate(size * 8), ints, bits });
    },
    attach: (handle, lane) => laneRunner(attachArena(handle), lane),
  };
}

function allocate(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes);
  } catch (cause) {
    const megabytes = Math.ceil(bytes / 2 ** 20);
    throw new LockstepError('LOCKSTEP_OUT_OF_MEMORY', `no memory for an arena of ${megabytes} MB`, { cause });
  }
}

function attachArena(handle: ArenaHandle): Arena {
  assert(handle.kind === 'reference', `the reference backend was given an arena of kind ${handle.kind}`);
  const floats = handle.bits === 32 ? new Float32Array(handle.floats) : new Float64Array(handle.floats);
  return { floats, ints: new Int32Array(handle.ints), handle };
}

function laneRunner(arena: Arena, lane: number): LaneRunner {
  const { floats, ints } = arena;
  const round = floats instanceof Float32Array ? Math.fround : (value: number): number => value;
  const header = (field: (typeof arenaHeaderFields)[number]): number =>
    ints[arenaHeaderFields.indexOf(field)]!;
  return {
    arena,
    run: (from, to, table) => {
      const context: Lane = {
        floats,
        ints,
        round,
        lane,
        lanes: header('lanes'),
        barrier: header('barrierOffset'),
        table: decodeStepTable(ints, table),
      };
      for (let at = from; at < to; ) {
        const { name, args, next } = decodeInstruction(ints, at);
        (referenceKernels[name] as (lane: Lane, args: Readonly<Record<string, number>>) => void)(
          context,
          args,
        );
        at = next;
      }
    },
  };
}
