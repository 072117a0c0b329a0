// A training step allocates nothing on the JavaScript heap that grows with the model: a model with 400 times the
// parameters leaves no more behind, and takes no array buffer.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, expect, it } from 'vitest';
import { selectBackend } from '../../../src/kernels/select.ts';
import { Solo } from '../../support/solo.ts';

const steps = 40;
const kibibyte = 1024;
let collect = (): void => undefined;

beforeAll(() => {
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc') as () => void;
});

/** Bytes of heap and of array buffers taken by `steps` steps; no collection fits in between. */
function taken(units: number): { heap: number; buffers: number; parameters: number } {
  const inputs = 16;
  const solo = new Solo({
    backend: selectBackend(undefined).backend,
    model: {
      input: [inputs],
      layers: [
        { type: 'dense', units },
        { type: 'relu' },
        { type: 'dense', units },
        { type: 'relu' },
        { type: 'dense', units: 4 },
      ],
    },
    loss: 'softmaxCrossEntropy',
    optimizer: { type: 'adam' },
    clipNorm: 1,
    batch: 8,
    shards: 8,
  });
  solo.load(
    Array.from({ length: 8 * inputs }, (_, i) => (i % 7) / 7),
    Array.from({ length: 8 }, (_, i) => i % 4),
  );
  for (let step = 1; step <= steps; step += 1) solo.step(step);
  collect();
  const before = process.memoryUsage();
  for (let step = 1; step <= steps; step += 1) solo.step(steps + step);
  const after = process.memoryUsage();
  return {
    heap: after.heapUsed - before.heapUsed,
    buffers: after.arrayBuffers - before.arrayBuffers,
    parameters: solo.compiled.gradient.size,
  };
}

it('allocates the same for a small and for a large model', () => {
  taken(8);
  const small = taken(24);
  const large = taken(900);
  expect(large.parameters / small.parameters).toBeGreaterThan(400);
  // One copy of its gradient a step would be 130 MB; what the runner of the tests itself leaves behind is some 200 KB.
  const slackBytes = 512 * kibibyte;
  expect(large.heap - small.heap).toBeLessThan(slackBytes);
  expect(large.buffers - small.buffers).toBeLessThan(slackBytes);
});
