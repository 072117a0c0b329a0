// The part of a config that stays as it was for as long as a run goes on, over all its coordinators: another would end with
// other bytes, or have workers report other numbers. How long a run is and what it keeps may change. Pure.

import { endsWithRun } from '../optim/schedule.ts';
import { formatPath, show } from './issues.ts';
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

/** How long a run is belongs to it only where its learning rate depends on that. */
const lengthKeys = ['epochs', 'steps'] as const satisfies readonly (keyof RunConfig)[];

type FixedKey = (typeof fixedKeys)[number] | (typeof lengthKeys)[number];
type OptionalKey = 'clipNorm' | (typeof lengthKeys)[number];
export type FixedPart = Omit<Pick<RunConfig, FixedKey>, OptionalKey> & Partial<Pick<RunConfig, OptionalKey>>;

function keysOf({ optimizer }: Partial<Pick<RunConfig, 'optimizer'>>): readonly FixedKey[] {
  const { learningRate } = Object(optimizer) as Partial<RunConfig['optimizer']>;
  return learningRate !== undefined && endsWithRun(learningRate) ? [...fixedKeys, ...lengthKeys] : fixedKeys;
}

export function fixedPart(config: RunConfig): FixedPart {
  return Object.fromEntries(keysOf(config).map((key) => [key, config[key]])) as unknown as FixedPart;
}

/** Where two configs differ first, as `optimizer.learningRate.peak`, and what is there; null: nothing is. */
export interface Change {
  readonly path: string;
  readonly before: string | null;
  readonly now: string | null;
}

/** The first difference of the fixed part, or null. `before` may be anything. */
export function changeOfFixed(before: unknown, now: unknown): Change | null {
  const [one, other] = [before, now].map((config) => Object(config) as Partial<RunConfig>);
  const key = keysOf(other!).find((each) => !isSame(one![each], other![each]));
  return key === undefined ? null : changeBelow([key], one![key], other![key]);
}

/** 'with batch 10, but now it is 20' */
export function changeText({ path, before, now }: Change): string {
  const was = before === null ? `without ${path}` : `with ${path} ${before}`;
  return `${was}, but now it is ${now ?? 'left out'}`;
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** At the end of `path`, where the two are not the same. */
function changeBelow(path: readonly PropertyKey[], one: unknown, other: unknown): Change {
  if (isObject(one) && isObject(other) && Array.isArray(one) === Array.isArray(other)) {
    const [from, to] = [one, other].map((value) => new Map(Object.entries(value)));
    const key = [...from!.keys(), ...to!.keys()].find((each) => !isSame(from!.get(each), to!.get(each)));
    if (key !== undefined)
      return changeBelow([...path, Array.isArray(one) ? Number(key) : key], from!.get(key), to!.get(key));
  }
  const text = (value: unknown): string | null => (value === undefined ? null : show(value));
  return { path: formatPath(path), before: text(one), now: text(other) };
}
