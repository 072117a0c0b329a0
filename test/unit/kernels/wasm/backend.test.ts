// The wasm backend: its variants, its errors, its arenas. What its kernels compute is test/conformance.

import { afterEach, describe, expect, it } from 'vitest';
import { encodeInstruction } from '../../../../src/kernels/kernel-list.ts';
import { wasmBackend } from '../../../../src/kernels/wasm/backend.ts';

const nodeMajor = Number(process.versions.node.split('.')[0]);

describe('wasm backend', () => {
  afterEach(() => {
    delete process.env.LOCKSTEP_WASM;
  });

  it('is relaxed on Node.js 22 and later, and strict before or where LOCKSTEP_WASM says so', () => {
    expect(wasmBackend().variant).toBe(nodeMajor >= 22 ? 'relaxed' : 'strict');
    process.env.LOCKSTEP_WASM = 'strict';
    expect(wasmBackend().variant).toBe('strict');
  });

  it('says what is wrong with a variant that cannot run', () => {
    process.env.LOCKSTEP_WASM = 'loose';
    expect(() => wasmBackend()).toThrow(/unknown variant "loose"; one of relaxed, strict/);
    if (nodeMajor < 22) expect(() => wasmBackend('relaxed')).toThrow(/needs Node.js 22 or later/);
  });

  it('runs two lanes of one memory, each on a stack of its own', () => {
    const backend = wasmBackend();
    const arena = backend.createArena(4096);
    const lanes = [0, 1].map((lane) => backend.attach(arena.handle, lane));
    const words = encodeInstruction('fill', { out: 512, count: 1000, value: -1.5 });
    arena.ints.set([2, 2048, 512, 64]);
    arena.ints.set(words, 128);
    for (const lane of lanes) lane.run(128, 128 + words.length, 256);
    expect(arena.floats.subarray(512, 1512).every((value) => value === -1.5)).toBe(true);
    expect([arena.floats[511], arena.floats[1512]]).toEqual([0, 0]);
    expect(arena.floats.byteOffset % 64).toBe(0);
  });

  it('calls a word that is no instruction our own bug', () => {
    const arena = wasmBackend().createArena(1024);
    arena.ints.set([1, 768, 64, 64]);
    arena.ints.set([9999, 2], 128);
    expect(() => wasmBackend().attach(arena.handle, 0).run(128, 130, 256)).toThrow(
      /no instruction at word 128/,
    );
  });

  it('says that 4 GB is the end', () => {
    expect(() => wasmBackend().createArena(2 ** 30)).toThrow(/no WebAssembly memory for an arena of 4.0 GB/);
  });
});
