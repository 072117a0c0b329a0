// Keeps a journal: opens it, notes the run and three generations after the newest, closes it, and says how far it came. Its tests
// end it or make its system calls fail. Usage: keep-journal.mjs DIRECTORY

import { Journal } from '../../dist/coordinator/journal.js';
import { sampleIdentity, sampleNumerics } from './sample-run.mjs';

try {
  const journal = Journal.open(process.argv[2]);
  journal.begin(sampleIdentity);
  console.log(JSON.stringify({ runId: journal.runId }));
  for (let generation = journal.generation + 1, end = generation + 3; generation < end; generation++) {
    journal.formed(generation, ['worker-a', 'worker-b'], journal.numerics === null ? sampleNumerics : null);
    console.log(JSON.stringify({ formed: generation }));
  }
  journal.close();
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
