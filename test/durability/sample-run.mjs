// What a journal of the tests of this folder says that its run is.

export const sampleIdentity = {
  config: {
    data: { kind: 'digits' },
    model: { input: [28, 28, 1], layers: [] },
    loss: 'softmaxCrossEntropy',
    metrics: ['accuracy'],
    optimizer: { type: 'sgd', learningRate: 0.1 },
    batch: 64,
    shards: 8,
    seed: 1,
  },
  datasetSha256: 'd'.repeat(64),
  fittedSha256: 'e'.repeat(64),
};

export const sampleNumerics = {
  fingerprint: 'f'.repeat(64),
  kernelHashes: { adam: 'a'.repeat(64) },
  backend: 'native',
  variant: 'avx2',
};
