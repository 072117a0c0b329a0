// A backend that keeps what every call found in the arena and what it left there, for machines where Node.js does not
// run (test/conformance/c/replay.c).

import type { Backend } from '../../src/kernels/backend.ts';
import { arenaHeaderFields } from '../../src/kernels/step-table.ts';

/** Words up to the last one that is not 0, and none of the scratch, which is nobody's result. */
function usedWords(words: Int32Array): Int32Array {
  let end = Math.min(words.length, words[arenaHeaderFields.indexOf('scratchOffset')]!);
  while (end > 0 && words[end - 1] === 0) end -= 1;
  return words.slice(0, end);
}

/** `backend`, and the words of a recording of all that it will run. */
export function recordingBackend(backend: Backend): { backend: Backend; recording: Int32Array[] } {
  const recording: Int32Array[] = [];
  const recorder: Backend = {
    ...backend,
    attach(handle, lane) {
      const runner = backend.attach(handle, lane);
      return {
        arena: runner.arena,
        run(from, to, table) {
          const { ints } = runner.arena;
          const before = usedWords(ints);
          runner.run(from, to, table);
          const after = usedWords(ints);
          const head = [ints.length, before.length, after.length, from, to, table];
          recording.push(Int32Array.from(head), before, after);
        },
      };
    },
  };
  return { backend: recorder, recording };
}
