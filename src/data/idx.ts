// The IDX format (http://yann.lecun.com/exdb/mnist): two zero bytes, a type, the number of dimensions, the dimensions as
// big-endian uint32, then the values in row-major order. Pure: bytes in, values out; files and gzip are load.ts's.

import { LockstepError } from '../errors.ts';
import type { RawValues } from './raw.ts';

export interface IdxArray {
  readonly shape: readonly number[];
  /** Exactly the values of the file. */
  readonly values: RawValues;
  /** What `unit` scaling divides by: 255 for bytes, 1 for all other types. */
  readonly unit: number;
}

interface TypeRow {
  readonly name: string;
  readonly bytes: number;
  readonly make: (count: number) => RawValues;
  readonly read: (view: DataView, offset: number) => number;
}

const types: Readonly<Record<number, TypeRow>> = {
  8: { name: 'uint8', bytes: 1, make: (n) => new Uint8Array(n), read: (view, at) => view.getUint8(at) },
  9: { name: 'int8', bytes: 1, make: (n) => new Int8Array(n), read: (view, at) => view.getInt8(at) },
  11: { name: 'int16', bytes: 2, make: (n) => new Int16Array(n), read: (view, at) => view.getInt16(at) },
  12: { name: 'int32', bytes: 4, make: (n) => new Int32Array(n), read: (view, at) => view.getInt32(at) },
  13: {
    name: 'float32',
    bytes: 4,
    make: (n) => new Float32Array(n),
    read: (view, at) => view.getFloat32(at),
  },
  14: {
    name: 'float64',
    bytes: 8,
    make: (n) => new Float64Array(n),
    read: (view, at) => view.getFloat64(at),
  },
};

const dimensionsMax = 4;

function invalid(file: string, what: string): LockstepError {
  return new LockstepError('LOCKSTEP_DATA_INVALID', `${file}: ${what}`);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/**
 * The array in `bytes`, which came from `file`. Nothing is allocated before the sizes are checked.
 * @throws LockstepError LOCKSTEP_DATA_INVALID naming the file
 */
export function parseIdx(bytes: Uint8Array, file: string): IdxArray {
  const type = types[bytes[2] ?? -1];
  const dimensions = bytes[3] ?? 0;
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || type === undefined) {
    throw invalid(
      file,
      `not an IDX file: it starts with ${bytes.length === 0 ? 'nothing' : hex(bytes)}, not 00 00 08 01 or the like`,
    );
  }
  if (dimensions < 1 || dimensions > dimensionsMax) {
    throw invalid(file, `has ${dimensions} dimensions; 1 to ${dimensionsMax} are possible`);
  }
  const start = 4 + 4 * dimensions;
  if (bytes.length < start)
    throw invalid(file, 'is truncated: it ends inside its header; copy or download it again');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const count = shape.reduce((product, dimension) => product * dimension, 1);
  checkLength(file, bytes.length, start + count * type.bytes, shape);
  if (type.bytes === 1 && type.name === 'uint8') return { shape, values: bytes.subarray(start), unit: 255 };
  const values = type.make(count);
  for (let i = 0; i < count; i += 1) {
    const value = type.read(view, start + i * type.bytes);
    if (!Number.isFinite(Math.fround(value))) {
      const sample = Math.floor((i / count) * (shape[0] ?? 1));
      throw invalid(file, `${value} in sample ${sample} is not a number of float32; correct the value`);
    }
    values[i] = value;
  }
  return { shape, values, unit: 1 };
}

function checkLength(file: string, length: number, expected: number, shape: readonly number[]): void {
  const told = `the header says ${shape.join(' x ')} values, so ${expected} bytes, but it has ${length}`;
  if (length < expected) throw invalid(file, `is truncated: ${told}; copy or download it again`);
  if (length > expected) throw invalid(file, `has ${length - expected} bytes too many: ${told}`);
}

/** Images and their labels, checked against each other. `images` is [n, h, w], [n, h, w, c] or [n, features]. */
export interface LabelledImages {
  readonly samples: number;
  readonly inputShape: readonly number[];
  readonly pixels: RawValues;
  readonly labels: RawValues;
  readonly unit: number;
}

/** @throws LockstepError LOCKSTEP_DATA_INVALID where the two do not belong together */
export function pairImagesWithLabels(
  images: IdxArray,
  imagesFile: string,
  labels: IdxArray,
  labelsFile: string,
): LabelledImages {
  if (images.shape.length < 2) {
    throw invalid(
      imagesFile,
      `holds ${images.shape.length} dimension, not images; is it the file of labels?`,
    );
  }
  if (labels.shape.length !== 1) {
    throw invalid(
      labelsFile,
      `holds ${labels.shape.length} dimensions, not labels; is it the file of images?`,
    );
  }
  const [samples, ...shape] = images.shape as [number, ...number[]];
  if (samples !== labels.shape[0]) {
    throw invalid(labelsFile, `has ${labels.shape[0]} labels, but ${imagesFile} has ${samples} images`);
  }
  if (samples === 0 || shape.includes(0)) throw invalid(imagesFile, 'has no images');
  for (let i = 0; i < samples; i += 1) {
    const label = labels.values[i]!;
    if (!Number.isInteger(label) || label < 0)
      throw invalid(labelsFile, `label ${label} of sample ${i} is not a class index`);
  }
  const inputShape = shape.length === 2 ? [...shape, 1] : shape;
  return { samples, inputShape, pixels: images.values, labels: labels.values, unit: images.unit };
}
