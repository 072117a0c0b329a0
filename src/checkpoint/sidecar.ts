// The small .json beside a checkpoint: what the file must be, byte for byte, and what is worth knowing without reading
// it. It carries a check of its own, so that no damaged one is believed. Pure: text in, text out.

import { createHash } from 'node:crypto';
import { z } from 'zod';

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const contentSchema = z.object({ bytes: z.int().min(0), sha256: sha256Schema });

const sidecarSchema = z.object({
  step: z.int().min(0),
  ...contentSchema.shape,
  /** While a checkpoint of the same step is being replaced the file may still be this one. */
  replaces: contentSchema.exactOptional(),
  previousSha256: sha256Schema.nullable(),
  weightsSha256: sha256Schema,
  metrics: z.record(z.string(), z.number()),
});

export type Content = z.output<typeof contentSchema>;
export type Sidecar = z.output<typeof sidecarSchema>;

const checkedSchema = sidecarSchema.extend({ check: sha256Schema });

export function sha256Of(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The check is the SHA-256 of all before it, as JSON without spaces. */
export function encodeSidecar(sidecar: Sidecar): Uint8Array {
  const known = sidecarSchema.parse(sidecar);
  const checked = { ...known, check: sha256Of(JSON.stringify(known)) };
  return new TextEncoder().encode(`${JSON.stringify(checked, null, 2)}\n`);
}

/** Null for a text that is not as it was written, to the byte. */
export function decodeSidecar(text: string): Sidecar | null {
  try {
    const { check, ...sidecar } = checkedSchema.parse(JSON.parse(text));
    const isGood = sha256Of(JSON.stringify(sidecar)) === check;
    return isGood && new TextDecoder().decode(encodeSidecar(sidecar)) === text ? sidecar : null;
  } catch {
    return null;
  }
}
