// The part of a config that stays as it was for as long as a run goes on, over all its coordinators: another would end with
// other bytes, or have workers report other numbers. How long a run is and what it keeps may change. Pure.

import type { RunConfig } from './schema.ts';

export const fixedKeys = [
  'data',
  'model',
  'loss',
  'metrics',
  'optimizer',
  'clipNorm',
  'batch',
  'shards',
  'seed',
] as const satisfies readonly (keyof RunConfig)[];

type FixedKey = (typeof fixedKeys)[number];
export type FixedPart = Pick<RunConfig, Exclude<FixedKey, 'clipNorm'>> & { readonly clipNorm?: number };

export function fixedPart(config: RunConfig): FixedPart {
  return Object.fromEntries(fixedKeys.map((key) => [key, config[key]])) as unknown as FixedPart;
}

/** The first key of the fixed part that is not the same in both, or null. `before` may be anything. */
export function changedKey(before: unknown, now: unknown): FixedKey | null {
  const [one, other] = [before, now].map((config) => Object(config) as Partial<Record<FixedKey, unknown>>);
  return fixedKeys.find((key) => JSON.stringify(one![key]) !== JSON.stringify(other![key])) ?? null;
}
