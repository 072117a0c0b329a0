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

/** Runs the battery on one lane (the number of lanes never changes a bit) and hashes what it gives. */
export async function numericsFingerprint(backend: Backend): Promise<NumericsFingerprint> {
  const run = caseRunner(backend, 1, { guarded: false });
  const hashes = await Promise.all(
    kernelNames.map(async (name): Promise<[KernelName, string]> => {
      const results = battery[name].filter((test) => caseSize(test) <= caseSizeMax).map((test) => run(test));
      return [name, await sha256(results.flatMap(({ floats, ints }) => [bytes(floats), bytes(ints)]))];
    }),
  );
  const text = hashes.map(([name, hash]) => `${name} ${hash}\n`).join('');
  const kernels = Object.fromEntries(hashes) as Record<KernelName, string>;
  return { fingerprint: await sha256([new TextEncoder().encode(text)]), kernels };
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

async function sha256(parts: readonly Uint8Array[]): Promise<string> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
