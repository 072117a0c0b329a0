// What was fitted on the data of checkpoints that tests make up.

import type { Fitted } from '../../src/data/fitted.ts';

export const sampleFitted: Fitted = {
  inputShape: [2],
  targetSize: 1,
  classes: 0,
  columns: { features: ['size', 'rooms'], targets: ['price'] },
  inputs: [{ method: 'standard', means: [1.5, 0.1], deviations: [2, 1e-7] }],
};
