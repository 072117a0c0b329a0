// The public API on one page: describe a model, write a config, train it. Everything else is reached by the command line.

export type { TrainSettings } from './deploy/settings.ts';
/** Trains a config on this machine, with worker processes or in this one; resolves with the weights' SHA-256. */
export { train } from './deploy/train.ts';
/** Types and completion for a config that is a module: `export default defineConfig({ ... })`. */
export { defineConfig } from './src/config/define-config.ts';
/** A checked config from a JSON file or a module. */
export { loadConfigFile } from './src/config/load.ts';
/** From unknown JSON to a checked config with its defaults; one line names what is wrong, where, and the nearest key. */
export { parseConfig } from './src/config/parse.ts';
/** The JSON Schema of a config, for editors. */
export { type ConfigInput, configJsonSchema, type RunConfig } from './src/config/schema.ts';
/** What a run tells while it goes. */
export type { RunEvent, RunResult, StopSignal } from './src/engine/events.ts';
/** The only error that leaves these functions: `code` is stable, `message` is one line to act on. */
export { type ErrorCode, LockstepError } from './src/errors.ts';
/** A model as data, written as calls: `sequential([28, 28, 1], [flatten(), dense(10)])`. JSON says the same. */
export {
  add,
  averagePool,
  batchNorm,
  concat,
  conv2d,
  dense,
  dropout,
  elu,
  flatten,
  gelu,
  globalAveragePool,
  leakyRelu,
  maxPool,
  relu,
  sequential,
  sigmoid,
  softmax,
  tanh,
} from './src/nn/api.ts';
export type { LayerInput, ModelInput } from './src/nn/description.ts';
