// For configs written as modules: `export default defineConfig({ ... })` gives completion and types in an editor.

import type { ConfigInput } from './schema.ts';

/** Gives the config back as it is; it is checked when the command line loads it. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}
