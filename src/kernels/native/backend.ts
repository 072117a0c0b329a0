// I/O: loads the native backend, the addon that deploy/setup/build-native.mjs builds.
// Variants differ in speed only: all of them give the same bits.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { assert, LockstepError } from '../../errors.ts';
import { nativeBuildCommand } from '../../platform/build-command.ts';
import { packageRoot } from '../../platform/package-root.ts';
import type { Arena, ArenaHandle, Backend, ByteOperations } from '../backend.ts';

export const instructionSets = ['avx512', 'avx2', 'neon', 'portable'] as const;
export type InstructionSet = (typeof instructionSets)[number];

/** Runs words from .. to-1 of the arena; -1, or the word where no instruction stands. */
type Run = (arena: Int32Array, from: number, to: number, lane: number, table: number) => number;

interface Addon {
  /** What the processor can run, the fastest first. */
  readonly variants: Partial<Record<InstructionSet, Run>>;
  readonly bytes: Omit<ByteOperations, 'checksum'>;
  /** By the instruction set that each needs; not every one has its own. */
  readonly checksums: Partial<Record<InstructionSet, ByteOperations['checksum']>>;
}

function unavailable(reason: string, cause?: unknown): LockstepError {
  return new LockstepError('LOCKSTEP_BACKEND_UNAVAILABLE', `the native backend is not available: ${reason}`, {
    cause,
  });
}

function loadAddon(): Addon {
  const path = join(packageRoot(), 'build/native/lockstep.node');
  if (!existsSync(path)) {
    throw unavailable(`it is not built; \`${nativeBuildCommand()}\` builds it where there is a C compiler`);
  }
  let addon: Partial<Addon>;
  try {
    addon = createRequire(import.meta.url)(path) as Partial<Addon>;
  } catch (error) {
    throw unavailable(
      `${path} does not load (${(error as Error).message}); build it again: ${nativeBuildCommand()}`,
      error,
    );
  }
  if (addon.variants === undefined || addon.bytes === undefined || addon.checksums === undefined)
    throw unavailable(`${path} is of another version; build it again: ${nativeBuildCommand()}`);
  return addon as Addon;
}

function chooseVariant(addon: Addon, wanted: string | undefined): InstructionSet {
  const available = instructionSets.filter((name) => addon.variants[name]);
  if (!wanted) {
    assert(available[0] !== undefined, 'the addon has no variant');
    return available[0];
  }
  const found = instructionSets.find((name) => name === wanted);
  if (!found) throw unavailable(`unknown instruction set "${wanted}"; one of ${instructionSets.join(', ')}`);
  if (!available.includes(found)) {
    throw unavailable(`this processor has no ${found}; it has ${available.join(', ')}`);
  }
  return found;
}

/** That of the variant, or of the next narrower one that has its own. */
function chooseChecksum({ checksums }: Addon, variant: InstructionSet): ByteOperations['checksum'] {
  const usable = instructionSets.slice(instructionSets.indexOf(variant));
  const found = usable.map((name) => checksums[name]).find((checksum) => checksum !== undefined);
  assert(found !== undefined, 'every addon has the portable checksum');
  return found;
}

function createArena(size: number): Arena {
  try {
    return arenaOf(new SharedArrayBuffer(size * 4));
  } catch (cause) {
    const gigabytes = ((size * 4) / 2 ** 30).toFixed(1);
    throw new LockstepError(
      'LOCKSTEP_OUT_OF_MEMORY',
      `no memory for an arena of ${gigabytes} GB; take a smaller batch`,
      { cause },
    );
  }
}

function arenaOf(buffer: SharedArrayBuffer): Arena {
  return {
    floats: new Float32Array(buffer),
    ints: new Int32Array(buffer),
    handle: { kind: 'native', buffer },
  };
}

/** What the environment demands, if anything. */
export function forcedInstructionSet(): string | undefined {
  return process.env.LOCKSTEP_ISA || undefined;
}

/**
 * The native kernels, in the widest instruction set of this processor or in `isa` (or in the environment's
 * LOCKSTEP_ISA). Throws LOCKSTEP_BACKEND_UNAVAILABLE with the reason.
 */
export function nativeBackend(isa?: InstructionSet): Backend {
  const addon = loadAddon();
  const variant = chooseVariant(addon, isa ?? forcedInstructionSet());
  const run = addon.variants[variant];
  assert(run !== undefined, `variant ${variant} was chosen but is not there`);
  return {
    name: 'native',
    variant,
    bytes: { ...addon.bytes, checksum: chooseChecksum(addon, variant) },
    createArena,
    attach(handle: ArenaHandle, lane: number) {
      assert(handle.kind === 'native', `native backend attached to an arena of ${handle.kind}`);
      const arena = arenaOf(handle.buffer);
      return {
        arena,
        run(from: number, to: number, table: number) {
          const bad = run(arena.ints, from, to, lane, table);
          assert(bad === -1, `no instruction at word ${bad} of the program`);
        },
      };
    },
  };
}
