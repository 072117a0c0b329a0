// loadConfigFile: JSON and modules, and what each broken file is answered with.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfigFile } from '../../../src/config/load.ts';

const config = {
  data: { kind: 'synthetic', train: 8, shape: [4], classes: 2 },
  model: { input: [4], layers: [{ type: 'dense', units: 2 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd' },
};

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lockstep-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

test('a JSON file and a module give the same config', async () => {
  const fromJson = await loadConfigFile(file('net.json', JSON.stringify(config)));
  const fromModule = await loadConfigFile(file('net.mjs', `export default ${JSON.stringify(config)}`));
  expect(fromJson.name).toBe('net');
  expect(fromModule).toEqual(fromJson);
});

test.each([
  ['missing.json', null, 'LOCKSTEP_CONFIG_NOT_FOUND', ': cannot read the config: there is no such file'],
  [
    'syntax.json',
    '{\n "data": ,\n}',
    'LOCKSTEP_CONFIG_INVALID',
    ':2:10: not valid JSON: expected a value, found ","',
  ],
  ['empty.json', '{}', 'LOCKSTEP_CONFIG_INVALID', ': data: missing; expected an object (and 3 more)'],
  [
    'none.mjs',
    'export const a = 1;',
    'LOCKSTEP_CONFIG_INVALID',
    ': export default defineConfig({ ... }) is missing',
  ],
  ['throws.mjs', 'throw new Error("no")', 'LOCKSTEP_CONFIG_INVALID', ': cannot load the module: no'],
])('%s', async (name, text, code, message) => {
  const path = text === null ? join(directory, name) : file(name, text);
  await expect(loadConfigFile(path)).rejects.toMatchObject({ code, message: `${path}${message}` });
});

test('a directory is no config', async () => {
  const message = `${directory}: cannot read the config: it is a directory`;
  await expect(loadConfigFile(directory)).rejects.toMatchObject({ message });
});
