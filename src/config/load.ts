// Reads a config file (I/O): JSON, or a module whose default export is defineConfig({ ... }).

import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LockstepError } from '../errors.ts';
import { JsonSyntaxError, parseJson } from './json-syntax.ts';
import { parseConfig } from './parse.ts';
import type { RunConfig } from './schema.ts';

const moduleExtensions = ['.mjs', '.js', '.mts', '.ts'];

/**
 * The checked config of `path`.
 * @throws LockstepError LOCKSTEP_CONFIG_NOT_FOUND, LOCKSTEP_CONFIG_INVALID
 */
export async function loadConfigFile(path: string): Promise<RunConfig> {
  const text = await readText(path);
  const isModule = moduleExtensions.includes(extname(path).toLowerCase());
  return parseConfig(isModule ? await defaultExport(path) : jsonOf(text, path), path);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : String(code);
    throw new LockstepError('LOCKSTEP_CONFIG_NOT_FOUND', `${path}: cannot read the config: ${why}`, {
      cause: error,
    });
  }
}

function jsonOf(text: string, path: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const where = `${path}:${error.line}:${error.column}`;
    throw new LockstepError('LOCKSTEP_CONFIG_INVALID', `${where}: not valid JSON: ${error.message}`, {
      cause: error,
    });
  }
}

async function defaultExport(path: string): Promise<unknown> {
  let module: { default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
    const why = code === 'ERR_UNKNOWN_FILE_EXTENSION' ? 'this Node does not run TypeScript; use .mjs' : first;
    throw new LockstepError('LOCKSTEP_CONFIG_INVALID', `${path}: cannot load the module: ${why}`, {
      cause: error,
    });
  }
  if (typeof module.default !== 'object' || module.default === null) {
    throw new LockstepError(
      'LOCKSTEP_CONFIG_INVALID',
      `${path}: export default defineConfig({ ... }) is missing`,
    );
  }
  return module.default;
}
