// The safetensors format (https://github.com/huggingface/safetensors#format): the header's length as little-endian
// uint64, the header as JSON, then the tensors, without holes. Pure: bytes in, bytes out. Float32 only.
// The reader trusts nothing: sizes are checked before anything is allocated for them.

import { JsonSyntaxError, parseJson } from '../config/json-syntax.ts';
import { assert, LockstepError } from '../errors.ts';

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Row-major, without padding. */
  readonly data: Float32Array;
}

/** What a file holds; tensors in the order of their bytes. */
export interface TensorFile {
  readonly tensors: readonly NamedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format allows 100 MB; a checkpoint of a thousand tensors needs 0.1 MB. */
export const headerBytesMax = 16 * 1024 * 1024;

const lengthBytes = 8;
const floatBytes = Float32Array.BYTES_PER_ELEMENT;
const metadataKey = '__metadata__';

/**
 * The file's bytes in parts: the header, then the tensors' own memory, not copied. The header ends at a multiple of 8, padded
 * with spaces, so that readers can map the floats.
 */
export function encodeSafetensors({ tensors, metadata }: TensorFile): Uint8Array[] {
  const entries = new Map<string, unknown>([[metadataKey, metadata]]);
  let end = 0;
  for (const { name, shape, data } of tensors) {
    assert(!entries.has(name), `two tensors of a checkpoint are named ${name}`);
    assert(
      sizeOf(shape) === data.length,
      `tensor ${name} has ${data.length} elements, not [${shape.join(', ')}]`,
    );
    entries.set(name, { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] });
    end += data.byteLength;
  }
  // Built by hand: an object would put names that look like numbers first.
  const members = Array.from(entries, ([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  assert(headerBytes <= headerBytesMax, 'the header of a checkpoint is too large');
  const header = new Uint8Array(lengthBytes + headerBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerBytes), true);
  header.set(json, lengthBytes);
  return [header, ...tensors.map(({ data }) => bytesOf(data))];
}

/** The memory of `floats`, not copied. */
export const bytesOf = (floats: Float32Array): Uint8Array =>
  new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);

const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, dimension) => product * dimension, 1);

function invalid(what: string): LockstepError {
  return new LockstepError('LOCKSTEP_CHECKPOINT_INVALID', `not a valid safetensors file: ${what}`);
}

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * The tensors in `bytes`, as views of them where they are aligned, else copied.
 * @throws LockstepError LOCKSTEP_CHECKPOINT_INVALID for anything that the format does not allow
 */
export function decodeSafetensors(bytes: Uint8Array<ArrayBuffer>): TensorFile {
  const { header, start } = readHeader(bytes);
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === metadataKey) metadata = metadataOf(value);
    else entries.push(entryOf(name, value));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, bytes.length - start);
  const tensors = entries.map(({ name, shape, begin, end }) => ({
    name,
    shape,
    data: floatsAt(bytes, start + begin, (end - begin) / floatBytes),
  }));
  return { tensors, metadata };
}

function readHeader(bytes: Uint8Array): { header: Record<string, unknown>; start: number } {
  if (bytes.length < lengthBytes)
    throw invalid(`it has ${bytes.length} bytes, too few for the length of a header`);
  const declared = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (declared > BigInt(headerBytesMax))
    throw invalid(`a header of ${declared} bytes; at most ${headerBytesMax} are read`);
  const start = lengthBytes + Number(declared);
  if (start > bytes.length) throw invalid(`it ends inside its header of ${declared} bytes`);
  if (bytes[lengthBytes] !== 0x7b) throw invalid('its header does not start with {');
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(lengthBytes, start),
    );
    return { header: parseJson(text) as Record<string, unknown>, start };
  } catch (error) {
    if (error instanceof JsonSyntaxError)
      throw invalid(`the header's JSON, column ${error.column}: ${error.message}`);
    throw invalid('its header is not UTF-8');
  }
}

function metadataOf(value: unknown): Record<string, string> {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap || !Object.values(value).every((text) => typeof text === 'string')) {
    throw invalid(`${metadataKey} is not a map of strings`);
  }
  return value as Record<string, string>;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function entryOf(name: string, value: unknown): Entry {
  const told = `tensor ${JSON.stringify(name)}`;
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject || Object.keys(value).sort().join() !== 'data_offsets,dtype,shape') {
    throw invalid(`${told} needs dtype, shape and data_offsets, and nothing else`);
  }
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (dtype !== 'F32') throw invalid(`${told} has dtype ${JSON.stringify(dtype)}; only "F32" is read`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw invalid(`${told} has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw invalid(`${told} has no valid data_offsets`);
  }
  const [begin, end] = offsets as [number, number];
  const size = shape.includes(0) ? 0 : sizeOf(shape);
  if (!Number.isSafeInteger(size * floatBytes)) throw invalid(`${told} is larger than 2^53 bytes`);
  if (end - begin !== size * floatBytes) {
    throw invalid(`${told} has ${end - begin} bytes, but [${shape.join(', ')}] needs ${size * floatBytes}`);
  }
  return { name, shape: shape as number[], begin, end };
}

/** Tensors follow each other without holes or overlaps, from the first byte to the last. */
function checkLayout(entries: readonly Entry[], dataBytes: number): void {
  let due = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== due) {
      throw invalid(
        `tensor ${JSON.stringify(name)} begins at ${begin}, ${begin < due ? 'over another' : 'after a hole'}: ${due} was due`,
      );
    }
    due = end;
  }
  if (due !== dataBytes) throw invalid(`its tensors have ${due} bytes, but ${dataBytes} follow the header`);
}

function floatsAt(bytes: Uint8Array<ArrayBuffer>, offset: number, count: number): Float32Array {
  const start = bytes.byteOffset + offset;
  if (start % floatBytes === 0) return new Float32Array(bytes.buffer, start, count);
  return new Float32Array(bytes.slice(offset, offset + count * floatBytes).buffer);
}
