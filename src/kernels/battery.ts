// The golden battery: deterministic cases of every kernel, the input of the fingerprint and of the conformance suite.
// Exhaustive: a kernel without a case does not compile.

import type { BatteryCase } from './battery-case.ts';
import { denseCases } from './battery-dense.ts';
import { elementwiseCases } from './battery-elementwise.ts';
import { lossCases } from './battery-losses.ts';
import { normalizeCases } from './battery-normalize.ts';
import { updateCases } from './battery-update.ts';
import { windowCases } from './battery-window.ts';
import type { KernelName } from './kernel-list.ts';

export const battery: { readonly [K in KernelName]: readonly BatteryCase<K>[] } = {
  ...denseCases,
  ...windowCases,
  ...normalizeCases,
  ...elementwiseCases,
  ...lossCases,
  ...updateCases,
};
