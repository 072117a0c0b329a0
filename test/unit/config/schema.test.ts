// docs/config.schema.json is what configJsonSchema() says; `npm run build:schema` writes it.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configJsonSchema } from '../../../src/config/schema.ts';

test('the JSON Schema for editors is up to date', () => {
  const file = new URL('../../../docs/config.schema.json', import.meta.url);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(configJsonSchema());
});
