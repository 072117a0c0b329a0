// The cases of one kernel: a few that are kept because they alone reach some way of a kernel, and any number drawn.

import type { BatteryCase, LayoutName, NamedLayout } from './battery-case.ts';
import { layouts, type StepLayout } from './battery-case.ts';
import type { Draw } from './battery-draw.ts';
import type { KernelName } from './kernel-list.ts';

export interface Family<K extends KernelName = KernelName> {
  readonly kept: readonly BatteryCase<K>[];
  /** A case of about `elementsMax` elements at most. */
  readonly draw: (draw: Draw, elementsMax: number) => BatteryCase<K>;
}

/** Where a shape is run: a layout of the table, or one drawn. */
export type Place = LayoutName | NamedLayout;

export function layoutOf(place: Place): StepLayout {
  return typeof place === 'string' ? layouts[place] : place.layout;
}

/**
 * `make` gives the case of a shape; what is absent, in place or fused follows from `variant`, a number modulo 12. Kept shapes
 * take variants by their index.
 */
export function family<K extends KernelName, S>(
  make: (shape: S, variant: number) => BatteryCase<K>,
  kept: readonly S[],
  drawShape: (draw: Draw, elementsMax: number) => S,
): Family<K> {
  return {
    kept: kept.map((shape, index) => make(shape, index)),
    draw: (draw, elementsMax) => make(drawShape(draw, elementsMax), draw.below(12)),
  };
}

/** Samples of a drawn layout: beyond the largest block of pixels (256), which maps of 1 x 1 meet. */
export function samplesMax(elementsMax: number): number {
  return Math.min(300, Math.ceil(elementsMax / 4));
}

/** Elements of a sample, so that all of a layout's stay within `elementsMax`. */
export function sampleSizeMax(place: Place, elementsMax: number): number {
  return Math.max(1, Math.floor(elementsMax / (2 + 2 * layoutOf(place).rows)));
}
