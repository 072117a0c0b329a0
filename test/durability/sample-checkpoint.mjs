// A checkpoint for the tests of this folder: large enough to take several writes, its content told by step and letter.

const elements = 300_000;

export function sampleCheckpoint(step, letter) {
  const data = new Float32Array(elements).fill(step);
  data[elements - 1] = letter.codePointAt(0);
  return {
    step,
    seed: 7,
    config: { letter },
    fingerprint: 'f'.repeat(64),
    datasetSha256: 'd'.repeat(64),
    trainSha256: 'e'.repeat(64),
    fitted: { inputShape: [2], targetSize: 1, classes: 0, columns: null, inputs: [] },
    parameters: [{ name: 'dense1.weight', shape: [elements], data }],
    statistics: [],
    slots: [],
    metrics: { loss: 1 / step },
    previousSha256: null,
  };
}
