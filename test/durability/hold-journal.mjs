// Begins a journal, says 'held' or the code of its error, and holds it until stdin ends. Usage: hold-journal.mjs DIRECTORY

import { Journal } from '../../dist/coordinator/journal.js';
import { sampleIdentity } from './sample-run.mjs';

try {
  const journal = Journal.open(process.argv[2]);
  journal.begin(sampleIdentity);
  console.log('held');
  process.stdin.on('end', () => journal.close()).resume();
} catch (error) {
  console.log(error.code);
  process.exit();
}
