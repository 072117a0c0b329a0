// exp, log, tanh, erf, sin, cos in float64 by plain additions, multiplications and divisions, so that they give the
// same bits on every machine (Math.exp and its kin may not). Accurate to a few units in the last place.
// Used for initial values, data and the reference kernels; the float32 kernels in C have their own polynomials.

/** ln 2 in two parts: the first has 33 bits, so that its product with a small integer is exact. */
const ln2High = 6.9314718036912382e-1;
const ln2Low = 1.9082149292705877e-10;
const inverseLn2 = Math.LOG2E;

/** pi / 2 in three parts of 33, 33 and 53 bits. */
const halfPiHigh = 1.5707963267341256;
const halfPiMiddle = 6.077100506303966e-11;
const halfPiLow = 2.0222662487959506e-21;
const inverseHalfPi = 0.6366197723675814;

const twoOverSqrtPi = 1.1283791670955126;
const sqrtPi = 1.772453850905516;

const bits = new DataView(new ArrayBuffer(8));

/** 2^k for -1022 <= k <= 1023. */
function powerOfTwo(k: number): number {
  bits.setUint32(0, (k + 1023) << 20);
  bits.setUint32(4, 0);
  return bits.getFloat64(0);
}

/** exp(r) - 1 for |r| <= 0.4: the Taylor series to r^15 / 15!. */
function expMinusOneSeries(r: number): number {
  let sum = 1;
  for (let n = 15; n >= 2; n -= 1) sum = 1 + (sum * r) / n;
  return r * sum;
}

/** e^x. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 709.79) return Infinity;
  if (x < -745.2) return 0;
  const k = Math.floor(x * inverseLn2 + 0.5);
  const r = x - k * ln2High - k * ln2Low;
  const half = k >> 1;
  return (1 + expMinusOneSeries(r)) * powerOfTwo(half) * powerOfTwo(k - half);
}

/** e^x - 1, accurate near 0. */
export function expMinusOne(x: number): number {
  return Math.abs(x) <= 0.4 ? expMinusOneSeries(x) : exp(x) - 1;
}

/** Natural logarithm, by log m = 2 atanh((m - 1) / (m + 1)) for sqrt(1/2) <= m < sqrt(2). */
export function log(x: number): number {
  if (x === 0) return -Infinity;
  if (!(x > 0) || x === Infinity) return x > 0 ? x : NaN;
  const subnormal = x < 2.2250738585072014e-308;
  bits.setFloat64(0, subnormal ? x * 18014398509481984 : x); // 2^54
  const high = bits.getUint32(0);
  let exponent = (high >>> 20) - 1023 - (subnormal ? 54 : 0);
  bits.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  let mantissa = bits.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let tail = 0;
  for (let n = 25; n >= 3; n -= 2) tail = (tail + 1 / n) * square;
  return exponent * ln2High + (2 * s + (2 * s * tail + exponent * ln2Low));
}

/** log(1 + x), accurate near 0 (Kahan's correction of the rounding of 1 + x). */
export function logOnePlus(x: number): number {
  const sum = 1 + x;
  return sum === 1 ? x : sum === Infinity ? sum : (log(sum) * x) / (sum - 1);
}

/** Hyperbolic tangent. */
export function tanh(x: number): number {
  if (x > 20) return 1;
  if (x < -20) return -1;
  const e = expMinusOne(2 * Math.abs(x));
  const y = e / (e + 2);
  return x < 0 ? -y : x === 0 ? x : y;
}

/** Error function: Abramowitz and Stegun 7.1.6 (series of positive terms), 7.1.14 (continued fraction) beyond 2. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return x > 0 ? 1 : -1;
  if (size > 2) {
    let fraction = size;
    for (let n = 60; n >= 1; n -= 1) fraction = size + n / 2 / fraction;
    const y = 1 - exp(-size * size) / (sqrtPi * fraction);
    return x > 0 ? y : -y;
  }
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return twoOverSqrtPi * exp(-x * x) * sum;
}

/** sin(r) for |r| <= pi / 4. */
function sineSeries(r: number): number {
  let sum = 1;
  for (let n = 18; n >= 2; n -= 2) sum = 1 - (sum * r * r) / (n * (n + 1));
  return r * sum;
}

/** cos(r) for |r| <= pi / 4. */
function cosineSeries(r: number): number {
  let sum = 1;
  for (let n = 18; n >= 2; n -= 2) sum = 1 - (sum * r * r) / (n * (n - 1));
  return sum;
}

/** Sine, for |x| < 10^5. */
export function sin(x: number): number {
  const quarter = Math.floor(x * inverseHalfPi + 0.5);
  const r = x - quarter * halfPiHigh - quarter * halfPiMiddle - quarter * halfPiLow;
  const y = quarter & 1 ? cosineSeries(r) : sineSeries(r);
  return quarter & 2 ? -y : y;
}

/** Cosine, for |x| < 10^5. */
export function cos(x: number): number {
  const quarter = Math.floor(x * inverseHalfPi + 0.5);
  const r = x - quarter * halfPiHigh - quarter * halfPiMiddle - quarter * halfPiLow;
  const y = quarter & 1 ? sineSeries(r) : cosineSeries(r);
  return (quarter + 1) & 2 ? -y : y;
}

/** Square root: an IEEE 754 operation like + and /, correctly rounded by the processor. */
export function sqrt(x: number): number {
  return Math.sqrt(x);
}
