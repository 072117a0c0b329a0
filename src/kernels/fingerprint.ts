// The numerics fingerprint: SHA-256 over what the battery gives on a backend. Two workers may train together only if
// theirs are equal; the hash of each kernel tells which one differs where they are not.

import type { Backend } from './backend.ts';
import { battery } from './battery.ts';
import { caseSize } from './battery-case.ts';
import { caseRunner } from './battery-run.ts';
import { type KernelName, kernelNames } from './kernel-list.ts';

/** Elements of the cases that are run: larger ones take time at every start of a worker and tell nothing more. */
const caseSizeMax = 60_000;

export interface NumericsFingerprint {
  /** Hexadecimal SHA-256 of the hashes of all kernels in order. */
  readonly fingerprint: string;
  /** Hexadecimal SHA-256 of each kernel's outputs. */
  readonly kernels: Readonly<Record<KernelName, string>>;
}

/** SHA-256 as node:crypto's createHash gives it: at once, on this thread, without copies of what it is fed. */
export type NewSha256 = () => { update(bytes: Uint8Array): unknown; digest(encoding: 'hex'): string };

/** Runs the battery on one lane (the number of lanes never changes a bit) and hashes what it gives. */
export function numericsFingerprint(backend: Backend, newSha256: NewSha256): NumericsFingerprint {
  const run = caseRunner(backend, 1, { guarded: false });
  const hashes = kernelNames.map((name): [KernelName, string] => {
    const sha256 = newSha256();
    for (const test of battery[name]) {
      if (caseSize(test) > caseSizeMax) continue;
      const { floats, ints } = run(test);
      sha256.update(bytes(floats));
      sha256.update(bytes(ints));
    }
    return [name, sha256.digest('hex')];
  });
  const sha256 = newSha256();
  sha256.update(new TextEncoder().encode(hashes.map(([name, hash]) => `${name} ${hash}\n`).join('')));
  const kernels = Object.fromEntries(hashes) as Record<KernelName, string>;
  return { fingerprint: sha256.digest('hex'), kernels };
}

/** The kernels whose numbers differ, in the order of the list. */
export function differingKernels(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): KernelName[] {
  return kernelNames.filter((name) => a[name] !== b[name]);
}

function bytes(values: Float32Array | Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
