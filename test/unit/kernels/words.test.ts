// Programs and step tables are words: what is written is what is read.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ArgumentKind,
  decodeInstruction,
  encodeInstruction,
  kernelNames,
  kernels,
} from '../../../src/kernels/kernel-list.ts';
import {
  decodeStepTable,
  encodeStepTable,
  type StepTable,
  stepTableFields,
  stepTableFloatFields,
} from '../../../src/kernels/step-table.ts';

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const float = fc.float({ noNaN: true });

describe('instructions', () => {
  it.each(kernelNames)('%s is read as it was written', (name) => {
    const kinds = Object.entries<ArgumentKind>(kernels[name].args);
    const shape = Object.fromEntries(kinds.map(([key, kind]) => [key, kind === 's' ? float : word]));
    fc.assert(
      fc.property(fc.record(shape), fc.nat(5), (args, at) => {
        const words = Int32Array.from([
          ...new Array<number>(at).fill(7),
          ...encodeInstruction(name, args as never),
        ]);
        expect(decodeInstruction(words, at)).toEqual({ name, args: { ...args }, next: words.length });
      }),
      { numRuns: 20 },
    );
  });

  it('a word that is no kernel and a wrong length are refused', () => {
    expect(() => decodeInstruction(Int32Array.of(9999, 2), 0)).toThrow(/no kernel has index 9999/);
    expect(() => decodeInstruction(Int32Array.of(kernelNames.indexOf('fill'), 2), 0)).toThrow(
      /fill .* wrong length/,
    );
  });
});

it('step tables are read as they were written', () => {
  const shape = Object.fromEntries(
    stepTableFields.map((field) => [field, stepTableFloatFields.has(field) ? float : word]),
  );
  fc.assert(
    fc.property(fc.record(shape), (fields) => {
      const words = Int32Array.from([1, 2, 3, ...encodeStepTable(fields as StepTable)]);
      expect(decodeStepTable(words, 3)).toEqual({ ...fields });
    }),
  );
});
