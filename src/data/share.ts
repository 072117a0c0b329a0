// A data set in pieces, for sending it to workers that lack it, and put together again there. Pure: no socket; the hash is
// handed in. Pieces are sent in the order of `dataParts`, each part from its first byte to its last.

import { LockstepError } from '../errors.ts';
import type { Shape } from '../ir/graph.ts';
import type { Dataset, Split } from './dataset.ts';
import { sharedFloats } from './shared-floats.ts';

/** What a data set is, without its bytes. */
export interface DatasetDescription {
  readonly sha256: string;
  readonly inputShape: Shape;
  readonly targetSize: number;
  readonly classes: number;
  readonly trainSamples: number;
  readonly testSamples: number;
}

export const dataParts = ['trainInputs', 'trainTargets', 'testInputs', 'testTargets'] as const;
export type DataPart = (typeof dataParts)[number];

/** A run of bytes of one part: float32, little-endian. */
export interface DataPiece {
  readonly part: DataPart;
  /** Bytes from the start of the part. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export function describeDataset(dataset: Dataset): DatasetDescription {
  const { sha256, inputShape, targetSize, classes, train, test } = dataset;
  return { sha256, inputShape, targetSize, classes, trainSamples: train.samples, testSamples: test.samples };
}

const floatsByPart = (
  dataset: Pick<Dataset, 'train' | 'test'>,
): Record<DataPart, Float32Array<SharedArrayBuffer>> => ({
  trainInputs: dataset.train.inputs,
  trainTargets: dataset.train.targets,
  testInputs: dataset.test.inputs,
  testTargets: dataset.test.targets,
});

function bytesOf(floats: Float32Array<SharedArrayBuffer>): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}

/** All pieces of at most `pieceBytes`, as views of the data set's own memory: nothing is copied. */
export function* dataPieces(dataset: Dataset, pieceBytes: number): Generator<DataPiece> {
  const floats = floatsByPart(dataset);
  for (const part of dataParts) {
    const bytes = bytesOf(floats[part]);
    for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
      yield { part, offset, bytes: bytes.subarray(offset, offset + pieceBytes) };
    }
  }
}

/** A worker takes no data set larger than this, whatever a coordinator says. */
export const datasetBytesMax = 2 ** 36;

function mismatch(what: string): LockstepError {
  return new LockstepError('LOCKSTEP_DATA_MISMATCH', `the data set sent by the coordinator ${what}`);
}

/** Receives the pieces of one data set. Memory is taken once, at the sizes that the description gives. */
export class DatasetAssembly {
  readonly #description: DatasetDescription;
  readonly #train: Split;
  readonly #test: Split;
  /** Index into dataParts of the part that is being received, and bytes of it that are there. */
  #part = 0;
  #received = 0;

  /** @throws LockstepError LOCKSTEP_DATA_MISMATCH for sizes that cannot be, LOCKSTEP_OUT_OF_MEMORY */
  constructor(description: DatasetDescription) {
    const { inputShape, targetSize, trainSamples, testSamples } = description;
    const inputSize = inputShape.reduce((product, dimension) => product * dimension, 1);
    const bytes = (trainSamples + testSamples) * (inputSize + targetSize) * Float32Array.BYTES_PER_ELEMENT;
    if (!(bytes <= datasetBytesMax))
      throw mismatch(`would have ${bytes} bytes; at most ${datasetBytesMax} are taken`);
    const split = (samples: number): Split => ({
      samples,
      inputs: sharedFloats(samples * inputSize),
      targets: sharedFloats(samples * targetSize),
    });
    this.#description = description;
    this.#train = split(trainSamples);
    this.#test = split(testSamples);
    this.#skipFull();
  }

  get complete(): boolean {
    return this.#part === dataParts.length;
  }

  /** Takes the next piece; true once all are there. @throws LockstepError LOCKSTEP_DATA_MISMATCH for any other piece */
  add(piece: DataPiece): boolean {
    const expected = dataParts[this.#part];
    if (piece.part !== expected || piece.offset !== this.#received) {
      const next = expected === undefined ? 'nothing' : `${expected} from byte ${this.#received}`;
      throw mismatch(`has ${piece.part} from byte ${piece.offset} where ${next} was due`);
    }
    const target = this.#bytes(expected);
    if (piece.bytes.length > target.length - piece.offset) throw mismatch(`runs over the end of ${expected}`);
    target.set(piece.bytes, piece.offset);
    this.#received += piece.bytes.length;
    this.#skipFull();
    return this.complete;
  }

  /** The data set, if `sha256Of` its bytes is what was promised. @throws LockstepError LOCKSTEP_DATA_MISMATCH */
  finish(sha256Of: (dataset: Omit<Dataset, 'sha256' | 'classes'>) => string): Dataset {
    if (!this.complete) throw mismatch(`ended in ${dataParts[this.#part]} after byte ${this.#received}`);
    const { inputShape, targetSize, classes, sha256 } = this.#description;
    const dataset = { inputShape, targetSize, train: this.#train, test: this.#test };
    const found = sha256Of(dataset);
    if (found !== sha256) throw mismatch(`has SHA-256 ${found}, but ${sha256} was promised`);
    return { ...dataset, classes, sha256 };
  }

  #bytes(part: DataPart): Uint8Array<SharedArrayBuffer> {
    return bytesOf(floatsByPart({ train: this.#train, test: this.#test })[part]);
  }

  #skipFull(): void {
    for (;;) {
      const part = dataParts[this.#part];
      if (part === undefined || this.#received < this.#bytes(part).length) return;
      this.#part += 1;
      this.#received = 0;
    }
  }
}
