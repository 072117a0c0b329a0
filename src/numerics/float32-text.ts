// float32 numbers as decimal text: the fewest digits that read back as the same float32. Pure.

/** Nine digits tell all float32 numbers apart. */
const digitsMax = 9;
/** Most results need six to nine digits; the search starts here. */
const digitsUsual = 7;

/** Text of a float32 value: Math.fround(Number(text)) is the value, and no text with fewer digits is. */
export function float32Text(value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (!Number.isFinite(value) || value === 0) return String(value);
  let digits = digitsUsual;
  let found = decimalOf(value, digits);
  while (found === null && digits < digitsMax) found = decimalOf(value, ++digits);
  while (found !== null && digits > 1) {
    const shorter = decimalOf(value, --digits);
    if (shorter === null) break;
    found = shorter;
  }
  return String(found ?? value);
}

/** The nearest decimal of so many digits that reads back as `value`, or null. */
function decimalOf(value: number, digits: number): number | null {
  const nearest = Number(value.toExponential(digits - 1));
  if (Math.fround(nearest) === value) return nearest;
  // Below a power of two float32 numbers lie closer than above it, so that the next decimal away from 0 may do.
  const [mantissa = '', exponent = ''] = value.toExponential(digits - 1).split('e');
  const outer = Number(mantissa.replace('.', '')) + Math.sign(value);
  const next = Number(`${outer}e${Number(exponent) - digits + 1}`);
  return Math.fround(next) === value ? next : null;
}
