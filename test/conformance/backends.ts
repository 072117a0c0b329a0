// Every backend there is, each loaded if it can be: what is missing stays visible as a skip with its reason.

import { setFlagsFromString } from 'node:v8';
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

// Node.js 20 has relaxed SIMD behind a flag; users do not set it, but its bits can be held against native's all the same.
if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');

export const candidates: readonly Candidate[] = [
  candidate('native avx512', 'fused', () => nativeBackend('avx512')),
  candidate('native avx2', 'fused', () => nativeBackend('avx2')),
  candidate('native neon', 'fused', () => nativeBackend('neon')),
  candidate('native portable', 'fused', () => nativeBackend('portable')),
  candidate('wasm relaxed', 'fused', () => wasmBackend('relaxed')),
  candidate('wasm strict', 'strict', () => wasmBackend('strict')),
  candidate('reference float32', 'reference', () => referenceBackend(32)),
];
