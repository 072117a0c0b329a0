// The safetensors codec: what is written is read back bit for bit, and every broken layout is refused.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeSafetensors,
  encodeSafetensors,
  type NamedTensor,
  type TensorFile,
} from '../../../src/checkpoint/safetensors.ts';
import { LockstepError } from '../../../src/errors.ts';

const fileOfTensors = (file: TensorFile): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.concat(encodeSafetensors(file)));

const bits = (floats: Float32Array): number[] =>
  Array.from(new Uint32Array(Float32Array.from(floats).buffer.slice(0)));

const tensors: fc.Arbitrary<NamedTensor[]> = fc.uniqueArray(
  fc
    .tuple(
      fc.string({ unit: 'grapheme' }).filter((name) => name !== '__metadata__'),
      fc.array(fc.nat(4), { maxLength: 3 }),
      fc.infiniteStream(fc.float()),
    )
    .map(([name, shape, values]) => {
      const size = shape.reduce((product, dimension) => product * dimension, 1);
      return { name, shape, data: Float32Array.from({ length: size }, () => values.next().value) };
    }),
  { selector: ({ name }) => name, maxLength: 6 },
);

test('reads back what was written: names, shapes, bits, order of bytes, metadata', () => {
  const metadata = fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true });
  fc.assert(
    fc.property(tensors, metadata, fc.integer({ min: 0, max: 7 }), (written, strings, shift) => {
      const file = fileOfTensors({ tensors: written, metadata: strings });
      const moved = new Uint8Array(file.length + shift);
      moved.set(file, shift);
      const read = decodeSafetensors(moved.subarray(shift));
      expect(read.metadata).toEqual(strings);
      expect(new Set(read.tensors.map(({ name }) => name))).toEqual(new Set(written.map(({ name }) => name)));
      for (const { name, shape, data } of written) {
        const found = read.tensors.find((tensor) => tensor.name === name);
        expect(found?.shape).toEqual(shape);
        expect(bits(found!.data)).toEqual(bits(data));
      }
      const filled = (list: readonly NamedTensor[]) => list.filter(({ data }) => data.length > 0);
      expect(filled(read.tensors).map(({ name }) => name)).toEqual(filled(written).map(({ name }) => name));
    }),
  );
});

test('the bytes of a small file, by the rules of the format', () => {
  const file = fileOfTensors({
    tensors: [{ name: 'w', shape: [1, 2], data: Float32Array.of(1, -2) }],
    metadata: { a: 'b' },
  });
  const header = '{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}';
  const padded = header.padEnd(88, ' ');
  expect(Array.from(file.subarray(0, 8))).toEqual([88, 0, 0, 0, 0, 0, 0, 0]);
  expect(new TextDecoder().decode(file.subarray(8, 96))).toBe(padded);
  expect(Array.from(file.subarray(96))).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
});

/** A file of a header as text and `dataBytes` zero bytes. */
function fileOf(
  header: string,
  dataBytes = 8,
  declared = BigInt(new TextEncoder().encode(header).length),
): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, declared, true);
  file.set(text, 8);
  return file;
}

const tensor = (shape: string, offsets: string, dtype = '"F32"') =>
  `{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}`;

describe('refused', () => {
  test.each<[string, Uint8Array<ArrayBuffer>, string]>([
    ['nothing', new Uint8Array(3), 'it has 3 bytes, too few for the length of a header'],
    [
      'a huge header',
      fileOf('{}', 8, 2n ** 63n),
      `a header of ${2n ** 63n} bytes; at most 16777216 are read`,
    ],
    ['a cut header', fileOf('{}', 0, 100n), 'it ends inside its header of 100 bytes'],
    ['an array', fileOf('[]'), 'its header does not start with {'],
    ['leading space', fileOf(' {}'), 'its header does not start with {'],
    ['broken JSON', fileOf('{"a":}'), 'the header\'s JSON, column 6: expected a value, found "}"'],
    ['no UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff), 'its header is not UTF-8'],
    [
      'the same name twice',
      fileOf(`{"a":${tensor('[1]', '[0,4]')},"a":${tensor('[1]', '[4,8]')}}`),
      'the header\'s JSON, column 55: the key "a" is there twice',
    ],
    [
      'another type',
      fileOf(`{"a":${tensor('[2]', '[0,8]', '"F16"')}}`),
      'tensor "a" has dtype "F16"; only "F32" is read',
    ],
    ['a negative dimension', fileOf(`{"a":${tensor('[-2]', '[0,8]')}}`), 'tensor "a" has no valid shape'],
    ['a fraction', fileOf(`{"a":${tensor('[1.5]', '[0,8]')}}`), 'tensor "a" has no valid shape'],
    ['three offsets', fileOf(`{"a":${tensor('[2]', '[0,4,8]')}}`), 'tensor "a" has no valid data_offsets'],
    [
      'an offset beyond 2^53',
      fileOf(`{"a":${tensor('[2]', '[0,1e300]')}}`),
      'tensor "a" has no valid data_offsets',
    ],
    [
      'a size beyond 2^53',
      fileOf(`{"a":${tensor('[9007199254740991,9007199254740991]', '[0,8]')}}`),
      'tensor "a" is larger than 2^53 bytes',
    ],
    [
      'a petabyte that is not there',
      fileOf(`{"a":${tensor('[1125899906842624]', '[0,4503599627370496]')}}`),
      'its tensors have 4503599627370496 bytes, but 8 follow the header',
    ],
    [
      'nesting without end',
      fileOf(`{"a":${'['.repeat(100_000)}`),
      "the header's JSON, column 206: nested deeper than 200",
    ],
    ['a wrong size', fileOf(`{"a":${tensor('[3]', '[0,8]')}}`), 'tensor "a" has 8 bytes, but [3] needs 12'],
    [
      'offsets backwards',
      fileOf(`{"a":${tensor('[2]', '[8,0]')}}`),
      'tensor "a" has -8 bytes, but [2] needs 8',
    ],
    ['a hole', fileOf(`{"a":${tensor('[1]', '[4,8]')}}`), 'tensor "a" begins at 4, after a hole: 0 was due'],
    [
      'an overlap',
      fileOf(`{"a":${tensor('[2]', '[0,8]')},"b":${tensor('[1]', '[4,8]')}}`),
      'tensor "b" begins at 4, over another: 8 was due',
    ],
    [
      'bytes cut off',
      fileOf(`{"a":${tensor('[2]', '[0,8]')}}`, 7),
      'its tensors have 8 bytes, but 7 follow the header',
    ],
    ['bytes too many', fileOf('{}', 1), 'its tensors have 0 bytes, but 1 follow the header'],
    ['metadata of numbers', fileOf('{"__metadata__":{"a":1}}', 0), '__metadata__ is not a map of strings'],
    [
      'an unknown key',
      fileOf('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"more":1}}', 4),
      'tensor "a" needs dtype, shape and data_offsets, and nothing else',
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(
      expect.objectContaining({
        code: 'LOCKSTEP_CHECKPOINT_INVALID',
        message: `not a valid safetensors file: ${message}`,
      }),
    );
  });

  test('names are names alone, though they look like paths or prototypes', () => {
    const names = ['../../../etc/passwd', '/etc/passwd', '__proto__', 'constructor', 'C:\\x', 'a\u0000b'];
    const tensors = names.map((name, i) => ({ name, shape: [1], data: Float32Array.of(i) }));
    const read = decodeSafetensors(fileOfTensors({ tensors, metadata: {} }));
    expect(read.tensors).toEqual(tensors);
    expect(({} as { dtype?: unknown }).dtype).toBeUndefined();
  });

  test('nothing else than LockstepError leaves the reader, whatever the bytes', () => {
    const good = fileOfTensors({
      tensors: [
        { name: 'w', shape: [2], data: Float32Array.of(1, 2) },
        { name: 'b', shape: [], data: Float32Array.of(3) },
      ],
      metadata: { format: 'x' },
    });
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        (changes, length) => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at] = value;
          for (const broken of [bytes, good.slice(0, length)]) {
            try {
              decodeSafetensors(broken);
            } catch (error) {
              expect(error).toBeInstanceOf(LockstepError);
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
