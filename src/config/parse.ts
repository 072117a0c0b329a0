// From unknown JSON to a RunConfig: checked once, here; after that types carry the proof. Pure.

import { LockstepError } from '../errors.ts';
import { explainIssues } from './issues.ts';
import { configSchema, metricDefault, type RunConfig } from './schema.ts';

const epochsDefault = 5;

/**
 * The config in `json` with every default filled in, frozen. `source` names where it came from in messages, and names
 * the run where the config does not.
 * @throws LockstepError LOCKSTEP_CONFIG_INVALID, one line naming path and remedy
 */
export function parseConfig(json: unknown, source: string): RunConfig {
  // A schema that is used once is not worth compiling.
  const result = configSchema.safeParse(json, { jitless: true });
  if (!result.success) {
    throw new LockstepError(
      'LOCKSTEP_CONFIG_INVALID',
      explainIssues(result.error.issues, configSchema, json, source),
    );
  }
  const { $schema: _, name = nameFrom(source), checkpoint, evaluate, ...fields } = result.data;
  const length = fields.epochs === undefined && fields.steps === undefined ? { epochs: epochsDefault } : {};
  return deepFreeze({
    name,
    metrics: [metricDefault(fields.loss)],
    ...fields,
    ...length,
    checkpoint: withPeriod(checkpoint),
    evaluate: withPeriod(evaluate),
  });
}

export interface ConfigOverrides {
  readonly epochs?: number | undefined;
  readonly steps?: number | undefined;
  readonly shards?: number | undefined;
  readonly seed?: number | undefined;
}

/** `config` with flags of the command line in place of its own values; epochs and steps replace each other. */
export function overrideConfig(config: RunConfig, overrides: ConfigOverrides): RunConfig {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  if (given.length === 0) return config;
  const { epochs, steps, ...rest } = config;
  const replaced = overrides.epochs !== undefined || overrides.steps !== undefined;
  const length = replaced ? {} : { epochs, steps };
  const merged = { ...rest, ...length, ...Object.fromEntries(given) };
  return parseConfig(JSON.parse(JSON.stringify(merged)), 'command line');
}

/** The file's name without directories and extension, made fit for a directory's name. */
function nameFrom(source: string): string {
  const base = source.split(/[\\/]/).at(-1) ?? '';
  const name = base.replace(/(\.config)?\.[A-Za-z]+$/, '').replace(/[^A-Za-z0-9._-]+/g, '-');
  return name.replace(/^[^A-Za-z0-9]+/, '').slice(0, 100) || 'run';
}

function withPeriod<T extends { everyEpochs?: number; everySteps?: number }>(part: T): T {
  return part.everyEpochs === undefined && part.everySteps === undefined ? { ...part, everyEpochs: 1 } : part;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
