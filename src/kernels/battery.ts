// The battery: cases of every kernel, the input of the fingerprint and of the conformance suite. Some are kept, the others
// drawn: a fixed number here, as many as one likes in tests (drawCase). Exhaustive: a kernel without a family does not compile.

import type { BatteryCase } from './battery-case.ts';
import { denseCases } from './battery-dense.ts';
import { Draw } from './battery-draw.ts';
import { elementwiseCases } from './battery-elementwise.ts';
import { type Family, samplesMax } from './battery-family.ts';
import { lossCases } from './battery-losses.ts';
import { normalizeCases } from './battery-normalize.ts';
import { updateCases } from './battery-update.ts';
import { windowCases } from './battery-window.ts';
import { type KernelName, kernelNames } from './kernel-list.ts';

const families: { readonly [K in KernelName]: Family<K> } = {
  ...denseCases,
  ...windowCases,
  ...normalizeCases,
  ...elementwiseCases,
  ...lossCases,
  ...updateCases,
};

/** Of the drawn cases of the fingerprint: changing one of these changes every fingerprint. */
const seed = 1;
const drawnCases = 8;
/** Convolutions have the most ways. */
const drawnConvolutions = 24;
const drawnElementsMax = 1200;
const drawnLayouts = 16;

/** Case `index` of a kernel under `seed`: the same on every machine, of about `elementsMax` elements at most. */
export function drawCase<K extends KernelName>(
  kernel: K,
  from: number,
  index: number,
  elementsMax: number,
): BatteryCase<K> {
  return drawnBy(new Draw(from, kernelNames.indexOf(kernel), index), kernel, index, elementsMax);
}

function drawnBy<K extends KernelName>(draw: Draw, kernel: K, index: number, elementsMax: number) {
  const drawn = (families[kernel] as Family<K>).draw(draw, elementsMax);
  return { ...drawn, name: `#${index} ${drawn.name}` };
}

const layouts = Array.from({ length: drawnLayouts }, (_, i) =>
  new Draw(seed, kernelNames.length, i).layout(samplesMax(drawnElementsMax)),
);

function casesOf<K extends KernelName>(kernel: K): readonly BatteryCase<K>[] {
  const { kept } = families[kernel] as Family<K>;
  const count = kernel.startsWith('conv') ? drawnConvolutions : drawnCases;
  const drawn = Array.from({ length: count }, (_, index) => {
    const draw = new Draw(seed, kernelNames.indexOf(kernel), index, layouts);
    return drawnBy(draw, kernel, index, drawnElementsMax);
  });
  return [...kept.map((test, i) => ({ ...test, name: `kept ${i} ${test.name}` })), ...drawn];
}

export const battery = Object.fromEntries(kernelNames.map((kernel) => [kernel, casesOf(kernel)])) as {
  readonly [K in KernelName]: readonly BatteryCase<K>[];
};
