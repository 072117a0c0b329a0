// A data set cut into pieces and put together again; and what is said of pieces that do not fit.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dataSchema } from '../../../src/config/schema-data.ts';
import { checkFit } from '../../../src/data/fit.ts';
import { datasetSha256, makeDataset } from '../../../src/data/make-dataset.ts';
import { type DataPiece, DatasetAssembly, dataPieces, describeDataset } from '../../../src/data/share.ts';
import { syntheticDataset } from '../../../src/data/synthetic.ts';

function synthetic(train: number, held: number) {
  const data = dataSchema.parse({ kind: 'synthetic', train, test: held, shape: [3], classes: 4 });
  return makeDataset(syntheticDataset(data as Extract<typeof data, { kind: 'synthetic' }>), 'none');
}

test('pieces of any size make the same data set', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.nat(5),
      fc.integer({ min: 1, max: 300 }),
      (train, held, size) => {
        const dataset = synthetic(train, held);
        const assembly = new DatasetAssembly(describeDataset(dataset));
        const done = [...dataPieces(dataset, size)].map((piece) => assembly.add(piece));
        expect(done.indexOf(true)).toBe(done.length - 1);
        const { fitted: _, trainSha256, directory, ...sent } = dataset;
        expect(assembly.finish(datasetSha256)).toEqual(sent);
      },
    ),
    { numRuns: 50 },
  );
});

const dataset = synthetic(2, 1);
const [first, second] = [...dataPieces(dataset, 16)] as [DataPiece, DataPiece];

test.each([
  [[second], 'has trainInputs from byte 16 where trainInputs from byte 0 was due'],
  [[first, first], 'has trainInputs from byte 0 where trainInputs from byte 16 was due'],
  [[first, { ...second, bytes: first.bytes }], 'runs over the end of trainInputs'],
  [[...dataPieces(dataset, 16), first], 'has trainInputs from byte 0 where nothing was due'],
])('%#', (pieces, message) => {
  const assembly = new DatasetAssembly(describeDataset(dataset));
  const add = () => {
    for (const piece of pieces) assembly.add(piece);
  };
  expect(add).toThrow(
    expect.objectContaining({
      code: 'LOCKSTEP_DATA_MISMATCH',
      message: `the data set sent by the coordinator ${message}`,
    }),
  );
});

test('a flipped bit, an early end and absurd sizes are refused', () => {
  const assembly = new DatasetAssembly(describeDataset(dataset));
  expect(() => assembly.finish(datasetSha256)).toThrow('ended in trainInputs after byte 0');
  for (const piece of dataPieces(dataset, 1000)) {
    const bytes = Uint8Array.from(piece.bytes);
    bytes[0]! ^= piece.part === 'testTargets' ? 1 : 0;
    assembly.add({ ...piece, bytes });
  }
  expect(() => assembly.finish(datasetSha256)).toThrow(`but ${dataset.sha256} was promised`);
  expect(() => new DatasetAssembly({ ...describeDataset(dataset), trainSamples: 2 ** 40 })).toThrow(
    'at most',
  );
});

const model = { inputShape: [3], outputSize: 4, targetSize: 1, loss: 'softmaxCrossEntropy' } as const;

test('a data set that fits its model', () => {
  expect(() => checkFit(dataset, model)).not.toThrow();
});

test.each([
  [{ inputShape: [4] }, 'model.input: the model takes [4], but a sample of the data has the shape [3]'],
  [
    { targetSize: 4, loss: 'meanSquaredError' as const },
    'model.layers: the model has 4 outputs for meanSquaredError, but a sample of the data has 1 targets',
  ],
  [
    { outputSize: 1 },
    expect.stringMatching(/^sample \d+ of the training data has label [1-3], but the model has 1 outputs/),
  ],
])('%#', (change, message) => {
  expect(() => checkFit(dataset, { ...model, ...change })).toThrow(expect.objectContaining({ message }));
});
