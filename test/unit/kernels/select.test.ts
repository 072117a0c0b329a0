// Which backend a process takes, and what it says about it.

import { afterEach, describe, expect, it } from 'vitest';
import type { BackendName } from '../../../src/kernels/backend.ts';
import { selectBackend } from '../../../src/kernels/select.ts';

describe('selectBackend', () => {
  afterEach(() => {
    delete process.env.LOCKSTEP_ISA;
  });

  it('gives the backend that was asked for', () => {
    expect(selectBackend('wasm')).toMatchObject({ backend: { name: 'wasm' }, notice: null });
    expect(selectBackend('reference').backend.variant).toBe('float32');
  });

  it('is silent about native kernels, and says in one line why WebAssembly is used instead', () => {
    const { backend, notice } = selectBackend(undefined);
    if (backend.name === 'native') expect(notice).toBeNull();
    else
      expect(notice).toMatch(/^WebAssembly kernels are used: the native backend is not available: [^\n]+$/);
  });

  it('does not change the backend silently where an instruction set is forced', () => {
    process.env.LOCKSTEP_ISA = 'sse9';
    expect(() => selectBackend(undefined)).toThrow(
      expect.objectContaining({ code: 'LOCKSTEP_BACKEND_UNAVAILABLE' }),
    );
  });

  it('names the backends there are', () => {
    expect(() => selectBackend('gpu' as BackendName)).toThrow(
      /unknown backend "gpu"; one of native, wasm, reference/,
    );
  });
});
