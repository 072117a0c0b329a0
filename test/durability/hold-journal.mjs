// Opens a journal, says 'held' or the code of its error, and holds it until stdin ends. Usage: hold-journal.mjs DIRECTORY

import { Journal } from '../../dist/coordinator/journal.js';

try {
  const journal = Journal.open(process.argv[2]);
  console.log('held');
  process.stdin.on('end', () => journal.close()).resume();
} catch (error) {
  console.log(error.code);
  process.exit();
}
