// A backend that keeps what every call found in the arena and what it left there, to be run again by a plain C program:
// where Node.js does not run, or under sanitizers (test/conformance/c/replay.c).

import type { Backend } from '../../src/kernels/backend.ts';
import type { BatteryCase } from '../../src/kernels/battery-case.ts';
import { caseRunner, type Region } from '../../src/kernels/battery-run.ts';
import { arenaHeaderFields } from '../../src/kernels/step-table.ts';

/** Words up to the last one that is not 0, and none of the scratch, which is nobody's result. */
function usedWords(words: Int32Array): Int32Array {
  let end = Math.min(words.length, words[arenaHeaderFields.indexOf('scratchOffset')]!);
  while (end > 0 && words[end - 1] === 0) end -= 1;
  return words.slice(0, end);
}

export interface Recording {
  readonly bytes: Buffer;
  /** Calls of kernels. */
  readonly records: number;
}

/** Runs the cases on `backend` with `lanes` lanes and records every call. */
export function recordCases(backend: Backend, lanes: number, cases: readonly BatteryCase[]): Recording {
  const recording: Int32Array[] = [];
  let regions: readonly Region[] = [];
  let records = 0;
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
          const sizes = [ints.length, before.length, after.length, from, to, table, lane, regions.length];
          const bounds = regions.flatMap((region) => [region.from, region.to]);
          recording.push(Int32Array.from([...sizes, ...bounds]), before, after);
          records += 1;
        },
      };
    },
  };
  const run = caseRunner(recorder, lanes, {
    onPlaced: (placed) => {
      regions = placed;
    },
  });
  for (const test of cases) run(test);
  const bytes = recording.map((words) => new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  return { bytes: Buffer.concat(bytes), records };
}
