// The native backend: its instruction sets by name, its errors, its arenas. What its kernels compute is test/conformance.

import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../src/kernels/backend.ts';
import { encodeInstruction } from '../../../../src/kernels/kernel-list.ts';
import {
  type InstructionSet,
  instructionSets,
  nativeBackend,
} from '../../../../src/kernels/native/backend.ts';

function load(): { backend: Backend | null; reason: string } {
  try {
    return { backend: nativeBackend(), reason: '' };
  } catch (error) {
    return { backend: null, reason: (error as Error).message };
  }
}

const { backend, reason } = load();

function isHere(isa: InstructionSet): boolean {
  try {
    return nativeBackend(isa).variant === isa;
  } catch {
    return false;
  }
}

describe.skipIf(!backend)(`native backend${reason && ` (skipped: ${reason})`}`, () => {
  afterEach(() => {
    delete process.env.LOCKSTEP_ISA;
  });

  it('takes the widest instruction set, and the one that LOCKSTEP_ISA names', () => {
    const there = instructionSets.filter((isa) => isHere(isa));
    expect(backend?.variant).toBe(there[0]);
    process.env.LOCKSTEP_ISA = 'portable';
    expect(nativeBackend().variant).toBe('portable');
  });

  it('says which instruction sets there are when another one is asked for', () => {
    process.env.LOCKSTEP_ISA = 'sse9';
    expect(() => nativeBackend()).toThrow(
      /unknown instruction set "sse9"; one of avx512, avx2, neon, portable/,
    );
    const foreign = process.arch === 'x64' ? 'neon' : 'avx2';
    expect(() => nativeBackend(foreign)).toThrow(
      expect.objectContaining({ code: 'LOCKSTEP_BACKEND_UNAVAILABLE' }),
    );
  });

  it('runs on an arena through its handle and sees the same memory', () => {
    const arena = backend!.createArena(1024);
    const runner = backend!.attach(arena.handle, 0);
    const words = encodeInstruction('fill', { out: 512, count: 33, value: 2.5 });
    arena.ints.set([1, 768, 64, 64]);
    arena.ints.set(words, 128);
    runner.run(128, 128 + words.length, 256);
    expect([...arena.floats.subarray(510, 547)]).toEqual([0, 0, ...Array<number>(33).fill(2.5), 0, 0]);
    expect(arena.floats.byteOffset % 64).toBe(0);
  });

  it('calls a word that is no instruction our own bug', () => {
    const arena = backend!.createArena(1024);
    arena.ints.set([1, 768, 64, 64]);
    arena.ints.set([9999, 2], 128);
    expect(() => backend!.attach(arena.handle, 0).run(128, 130, 256)).toThrow(/no instruction at word 128/);
    expect(() => backend!.attach(arena.handle, 0).run(128, 4096, 256)).toThrow(/words of the arena/);
  });

  it.each(instructionSets.filter((isa) => isHere(isa)))(
    '%s checksums any bytes on any alignment as zlib does, in one piece or two',
    (isa) => {
      const { checksum } = nativeBackend(isa).bytes!;
      expect(checksum(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
      expect(checksum(new Uint8Array(0), 7)).toBe(7);
      const memory = new Uint8Array(new SharedArrayBuffer(8_192));
      for (let i = 0; i < memory.length; i++) memory[i] = Math.imul(i + 1, 0x9e3779b1) >>> 11;
      fc.assert(
        fc.property(
          fc.nat(63),
          fc.oneof(fc.nat(1_100), fc.nat(8_000)),
          fc.nat(),
          fc.nat(2 ** 32 - 1),
          (from, length, cut, running) => {
            const bytes = memory.subarray(from, from + length);
            const expected = crc32(bytes, running);
            expect(checksum(bytes, running)).toBe(expected);
            const at = cut % (length + 1);
            expect(checksum(bytes.subarray(at), checksum(bytes.subarray(0, at), running))).toBe(expected);
          },
        ),
        { numRuns: 500 },
      );
      expect(() => checksum('text' as unknown as Uint8Array)).toThrow(TypeError);
    },
  );

  it('says how large an arena is that cannot be had', () => {
    expect(() => backend!.createArena(2 ** 50)).toThrow(
      expect.objectContaining({ code: 'LOCKSTEP_OUT_OF_MEMORY' }),
    );
  });
});
