// Which backend a process uses: the one that was asked for, else native, else WebAssembly with a line that says why.

import { LockstepError } from '../errors.ts';
import type { Backend, BackendName } from './backend.ts';
import { forcedInstructionSet, nativeBackend } from './native/backend.ts';
import { referenceBackend } from './reference/backend.ts';
import { wasmBackend } from './wasm/backend.ts';

export interface SelectedBackend {
  readonly backend: Backend;
  /** One line for the log where this is not what one would expect; else null. */
  readonly notice: string | null;
}

/** Throws LOCKSTEP_BACKEND_UNAVAILABLE where the one asked for cannot run here. */
export function selectBackend(name: BackendName | undefined): SelectedBackend {
  switch (name) {
    case 'native':
      return { backend: nativeBackend(), notice: null };
    case 'wasm':
      return { backend: wasmBackend(), notice: null };
    case 'reference':
      return { backend: referenceBackend(32), notice: null };
    case undefined:
      return nativeOrWasm();
    default:
      name satisfies never;
      throw new LockstepError('LOCKSTEP_USAGE', `unknown backend "${name}"; one of native, wasm, reference`);
  }
}

function nativeOrWasm(): SelectedBackend {
  // An instruction set that was forced is a wish for native kernels: no silent change of backend then.
  if (forcedInstructionSet()) return { backend: nativeBackend(), notice: null };
  try {
    return { backend: nativeBackend(), notice: null };
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'LOCKSTEP_BACKEND_UNAVAILABLE') throw error;
    return { backend: wasmBackend(), notice: `WebAssembly kernels are used: ${error.message}` };
  }
}
