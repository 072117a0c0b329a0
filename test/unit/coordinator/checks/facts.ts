// What is known of a run before its first step, from the few keys of its config that a test is about.

import type { RunFacts } from '../../../../coordinator/checks/finding.ts';
import { planRun } from '../../../../coordinator/run-plan.ts';
import { parseConfig } from '../../../../src/config/parse.ts';
import { loadDataset } from '../../../../src/data/load.ts';
import type { LayerInput } from '../../../../src/nn/description.ts';

export interface Given {
  readonly samples?: number;
  /** Of one sample. */
  readonly shape?: readonly number[];
  /** In front of the last dense layer. */
  readonly layers?: readonly LayerInput[];
  readonly resumes?: boolean;
  readonly config?: object;
  readonly workers?: number;
  readonly threads?: number | null;
  readonly machine?: Partial<RunFacts['machine']>;
}

export async function factsOf(given: Given): Promise<RunFacts> {
  const { samples = 24, shape = [4], layers = [], resumes = false } = given;
  const config = parseConfig(
    {
      data: { kind: 'synthetic', train: samples, shape, classes: 3 },
      model: { input: shape, layers: [...layers, { type: 'flatten' }, { type: 'dense', units: 3 }] },
      loss: 'softmaxCrossEntropy',
      optimizer: { type: 'sgd' },
      ...given.config,
    },
    'test',
  );
  const dataset = await loadDataset(config.data, { directory: '.' });
  const plan = planRun({
    config,
    dataset,
    out: 'unused',
    workers: given.workers ?? 0,
    stopAfterStep: undefined,
  });
  const machine = {
    totalBytes: 16e9,
    availableBytes: 8e9,
    isLimited: false,
    bufferBytesMax: 4e9,
    ...given.machine,
  };
  return { plan, resumes, threads: given.threads ?? 1, machine };
}
