// Every backend there is, each loaded if it can be: what is missing stays visible as a skip with its reason.

import type { Backend } from '../../src/kernels/backend.ts';
import { nativeBackend } from '../../src/kernels/native/backend.ts';
import { referenceBackend } from '../../src/kernels/reference/backend.ts';
import { wasmBackend } from '../../src/kernels/wasm/backend.ts';

export interface Candidate {
  readonly name: string;
  /** fused: the fingerprint that fused multiply-add hardware shares; the others have one each. */
  readonly family: 'fused' | 'strict' | 'reference';
  readonly backend: Backend | null;
  /** Why it is not there. */
  readonly reason: string;
}

function candidate(name: string, family: Candidate['family'], load: () => Backend): Candidate {
  try {
    const backend = load();
    backend.createArena(1024);
    return { name, family, backend, reason: '' };
  } catch (error) {
    return { name, family, backend: null, reason: (error as Error).message };
  }
}

export const candidates: readonly Candidate[] = [
  candidate('native avx512', 'fused', () => nativeBackend('avx512')),
  candidate('native avx2', 'fused', () => nativeBackend('avx2')),
  candidate('native neon', 'fused', () => nativeBackend('neon')),
  candidate('native portable', 'fused', () => nativeBackend('portable')),
  candidate('wasm relaxed', 'fused', () => wasmBackend('relaxed')),
  candidate('wasm strict', 'strict', () => wasmBackend('strict')),
  candidate('reference float32', 'reference', () => referenceBackend(32)),
];
