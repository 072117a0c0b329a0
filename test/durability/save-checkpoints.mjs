// Saves checkpoints of the steps given, one after another, each once, and says of each how it went. Its tests end it or
// make its system calls fail. Usage: save-checkpoints.mjs DIRECTORY LETTER STEP...

import { writeCheckpoint } from '../../dist/src/checkpoint/store.js';
import { sampleCheckpoint } from './sample-checkpoint.mjs';

const [directory, letter, ...steps] = process.argv.slice(2);
for (const step of steps.map(Number)) {
  try {
    await writeCheckpoint(directory, sampleCheckpoint(step, letter));
    console.log(JSON.stringify({ saved: step }));
  } catch (error) {
    console.log(JSON.stringify({ failed: step, code: error.code, message: error.message }));
  }
}
