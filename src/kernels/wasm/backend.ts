// I/O: loads the WebAssembly backend from the two .wasm files beside this source. `relaxed` has fused multiply-add and gives
// native's bits where the hardware has it; `strict` runs everywhere and has a fingerprint of its own.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, LockstepError } from '../../errors.ts';
import { packageRoot } from '../../platform/package-root.ts';
import type { Arena, ArenaHandle, Backend } from '../backend.ts';
import { arenaBase, dataEnd, lanesMax, pagesFor, pagesMax, stackTop } from './layout.ts';

export const wasmVariants = ['relaxed', 'strict'] as const;
export type WasmVariant = (typeof wasmVariants)[number];

interface KernelExports {
  readonly lockstep_run: (arena: number, from: number, to: number, lane: number, table: number) => number;
  readonly __stack_pointer: WebAssembly.Global;
  readonly __heap_base: WebAssembly.Global;
}

function readKernels(variant: WasmVariant): Uint8Array {
  const path = join(packageRoot(), `src/kernels/wasm/kernels-${variant}.wasm`);
  try {
    return readFileSync(path);
  } catch (cause) {
    const message = `the wasm backend is not available: ${path} cannot be read; install the package again`;
    throw new LockstepError('LOCKSTEP_BACKEND_UNAVAILABLE', message, { cause });
  }
}

function chooseVariant(wanted: string | undefined): { variant: WasmVariant; bytes: Uint8Array } {
  const variant = wasmVariants.find((name) => name === wanted);
  if (wanted && !variant) {
    const message = `the wasm backend is not available: unknown variant "${wanted}"; one of ${wasmVariants.join(', ')}`;
    throw new LockstepError('LOCKSTEP_BACKEND_UNAVAILABLE', message);
  }
  for (const name of variant ? [variant] : wasmVariants) {
    const bytes = readKernels(name);
    if (WebAssembly.validate(bytes)) return { variant: name, bytes };
  }
  const what =
    variant === 'relaxed' ? 'relaxed SIMD needs Node.js 22 or later' : 'this Node.js has no WebAssembly SIMD';
  throw new LockstepError('LOCKSTEP_BACKEND_UNAVAILABLE', `the wasm backend is not available: ${what}`);
}

function outOfMemory(size: number, cause?: unknown): LockstepError {
  const gigabytes = ((size * 4) / 2 ** 30).toFixed(1);
  const message = `no WebAssembly memory for an arena of ${gigabytes} GB (4 GB at most); take a smaller batch`;
  return new LockstepError('LOCKSTEP_OUT_OF_MEMORY', message, { cause });
}

function createArena(size: number): Arena {
  const pages = pagesFor(size);
  if (pages > pagesMax) throw outOfMemory(size);
  try {
    return arenaOf(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), size);
  } catch (cause) {
    throw outOfMemory(size, cause);
  }
}

function arenaOf(memory: WebAssembly.Memory, size: number): Arena {
  return {
    floats: new Float32Array(memory.buffer, arenaBase, size),
    ints: new Int32Array(memory.buffer, arenaBase, size),
    handle: { kind: 'wasm', memory, size },
  };
}

/**
 * The WebAssembly kernels: `variant`, or the environment's LOCKSTEP_WASM, or relaxed where this Node.js can run it and
 * strict elsewhere. Throws LOCKSTEP_BACKEND_UNAVAILABLE with the reason.
 */
export function wasmBackend(wanted?: WasmVariant): Backend {
  const { variant, bytes } = chooseVariant(wanted ?? process.env.LOCKSTEP_WASM);
  const module = new WebAssembly.Module(bytes);
  return {
    name: 'wasm',
    variant,
    createArena,
    attach(handle: ArenaHandle, lane: number) {
      assert(handle.kind === 'wasm', `wasm backend attached to an arena of ${handle.kind}`);
      assert(lane >= 0 && lane < lanesMax, `lane ${lane}: the wasm backend has room for ${lanesMax}`);
      const instance = new WebAssembly.Instance(module, { env: { memory: handle.memory } });
      const kernels = instance.exports as unknown as KernelExports;
      assert(kernels.__heap_base.value <= dataEnd, 'the data of the kernels is larger than its place');
      kernels.__stack_pointer.value = stackTop(lane);
      return {
        arena: arenaOf(handle.memory, handle.size),
        run(from: number, to: number, table: number) {
          const bad = kernels.lockstep_run(arenaBase, from, to, lane, table);
          assert(bad === -1, `no instruction at word ${bad} of the program`);
        },
      };
    },
  };
}
