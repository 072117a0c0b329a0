// Writes docs/config.schema.json, by which editors complete and check configs, from the schema in src/config (built first).
// Run by `npm run build:schema`; a test compares the file with the schema.

import { writeFileSync } from 'node:fs';
import { configJsonSchema } from '../../dist/src/config/schema.js';

const file = new URL('../../docs/config.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
