// The backend that the main thread chose, made again in a lane's thread.

import { LockstepError } from '../../src/errors.ts';
import type { Backend, BackendName } from '../../src/kernels/backend.ts';
import { instructionSets, nativeBackend } from '../../src/kernels/native/backend.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { wasmBackend, wasmVariants } from '../../src/kernels/wasm/backend.ts';

/** `variant` is a Backend's own. Throws LOCKSTEP_BACKEND_UNAVAILABLE. */
export function loadBackend(name: BackendName, variant: string): Backend {
  switch (name) {
    case 'native':
      return nativeBackend(oneOf(instructionSets, name, variant));
    case 'wasm':
      return wasmBackend(oneOf(wasmVariants, name, variant));
    case 'reference':
      return referenceBackend(variant === 'float64' ? 64 : 32);
    default:
      return name satisfies never;
  }
}

function oneOf<V extends string>(variants: readonly V[], name: BackendName, variant: string): V {
  const found = variants.find((known) => known === variant);
  if (found !== undefined) return found;
  throw new LockstepError(
    'LOCKSTEP_BACKEND_UNAVAILABLE',
    `the ${name} backend has no variant "${variant}"; it has ${variants.join(', ')}`,
  );
}
