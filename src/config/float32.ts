// Numbers of a config that the kernels take as float32. `float32` is the only way to declare one (a tidy test sees to it), so
// that no setting can silently become 0, 1 or infinity on its way into the program. Pure.

import { z } from 'zod';
import { float32Text } from '../numerics/float32-text.ts';

export interface Float32Bounds {
  /** Smallest and largest allowed value. */
  readonly min?: number;
  readonly max?: number;
  /** Exclusive bounds. */
  readonly above?: number;
  readonly below?: number;
  /** What the program computes from the value before it rounds, beside the value itself: dropout scales by 1 / (1 - rate). */
  readonly derived?: Readonly<Record<string, (value: number) => number>>;
}

/** A number that becomes a float32 of the program: refused where rounding makes it 0, 1 or infinite and it is not. */
export function float32(bounds: Float32Bounds = {}): z.ZodNumber {
  const { min, max, above, below } = bounds;
  let schema = z.number();
  if (min !== undefined) schema = schema.min(min);
  if (above !== undefined) schema = schema.gt(above);
  if (max !== undefined) schema = schema.max(max);
  if (below !== undefined) schema = schema.lt(below);
  return schema.superRefine((value, context) => {
    // What lies outside of the bounds has its own message.
    const message = isWithin(bounds, value) ? roundingError(value, bounds) : null;
    if (message !== null) context.addIssue({ code: 'custom', message });
  });
}

/** A factor of a schedule: a float64, of which the learning rate alone becomes a float32. */
export const scheduleFactor = (): z.ZodNumber => z.number().positive();

function isWithin({ min, max, above, below }: Float32Bounds, value: number): boolean {
  return !(value < min! || value > max! || value <= above! || value >= below!);
}

/** What is wrong with `value` as a float32, and the nearest values that can be used; null where it can be used. */
export function roundingError(value: number, bounds: Float32Bounds = {}): string | null {
  const culprit = degenerate(value, bounds);
  if (culprit === null) return null;
  const usable = nearestUsable(value, bounds);
  const near =
    usable.length === 1
      ? `nearest usable value is ${usable[0]}`
      : `nearest usable values are ${usable.join(' and ')}`;
  return `${value} ${culprit} in float32, the precision of the kernels; the ${near}`;
}

const special: readonly number[] = [0, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** How rounding degenerates the value, or makes what is derived from it that of 0 or infinite; else null. */
function degenerate(value: number, { derived = {} }: Float32Bounds): string | null {
  const rounded = Math.fround(value);
  if (special.includes(rounded) && rounded !== value) return `becomes ${textOf(rounded)}`;
  for (const [name, of] of Object.entries(derived)) {
    const result = Math.fround(of(value));
    const isLost = value !== 0 && result === Math.fround(of(0));
    if (isLost || !Number.isFinite(result)) return `makes ${name} ${textOf(result)}`;
  }
  return null;
}

const textOf = (value: number): string => String(value + 0).replace('Infinity', 'infinity');

/** The nearest allowed values below and above that do not degenerate. */
function nearestUsable(value: number, bounds: Float32Bounds): string[] {
  const isUsable = (place: number): boolean => {
    const candidate = atPlace(place);
    return isWithin(bounds, candidate) && degenerate(candidate, bounds) === null;
  };
  const found = [-1, 1].flatMap((direction) => {
    const rounded = Math.fround(value);
    const start = placeOf(rounded) + (Math.sign(rounded - value) === -direction ? direction : 0);
    // Outward to the next of 0, 1 and the largest float32, in doubling steps, then back by halving.
    const ends = [-largest, 0, 1, largest].map(placeOf).filter((end) => (end - start) * direction >= 0);
    const end = ends.reduce((near, other) => Math.min(near, (other - start) * direction), Infinity);
    if (ends.length === 0) return [];
    for (let [step, before] = [0, -1]; before < end; [step, before] = [Math.min(end, step * 2 + 1), step]) {
      if (!isUsable(start + direction * step)) continue;
      while (step - before > 1) {
        const middle = Math.floor((step + before) / 2);
        if (isUsable(start + direction * middle)) step = middle;
        else before = middle;
      }
      return [atPlace(start + direction * step)];
    }
    return [];
  });
  return [...new Set(found)].map(float32Text);
}

const largest = 3.4028234663852886e38;
const view = new DataView(new ArrayBuffer(4));

/** The place of a float32 among all of them in ascending order; 0 is at 0. */
function placeOf(value: number): number {
  view.setFloat32(0, Math.abs(value));
  return value < 0 ? -view.getInt32(0) : view.getInt32(0);
}

function atPlace(place: number): number {
  view.setInt32(0, Math.abs(place));
  return place < 0 ? -view.getFloat32(0) : view.getFloat32(0);
}
