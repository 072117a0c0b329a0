/* exp, expm1, log, log1p, tanh, sigmoid and erf of vectors: own polynomials in explicit fused steps, so that every
   vector width and every tail gives the same bits. About 1 to 2 ulp; NaN stays NaN. Coefficients: minimax fits
   (iteratively reweighted least squares), rounded to float one after the other. */
#ifndef LOCKSTEP_MATH_H
#define LOCKSTEP_MATH_H
#include "simd.h"

#define V_POLY2(x, c0, c1, c2) v_fma(v_fma(v_set1(c2), x, v_set1(c1)), x, v_set1(c0))

/* x = n ln 2 + r, |r| <= ln 2 / 2; n comes as the bits of magic + n. ln 2 in two parts, the first exact times n. */
#define ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer */
INLINE vf v_reduce_exp(vf x, vi *n) {
  vf shifted = v_fma(x, v_set1(1.44269504f), v_set1(ROUND_MAGIC));
  vf whole = v_sub(shifted, v_set1(ROUND_MAGIC));
  *n = v_bits(shifted) - v_bits(v_set1(ROUND_MAGIC));
  return v_fma(whole, v_set1(2.12194440e-4f), v_fma(whole, v_set1(-0.693359375f), x));
}

/* exp(r) - 1 for |r| <= ln 2 / 2: r + r^2 q(r) */
INLINE vf v_small_expm1(vf r) {
  vf high = V_POLY2(r, 0.008333208f, 0.0013932685f, 0.00019944271f);
  vf q = v_fma(v_fma(v_fma(high, r, v_set1(0.04166649f)), r, v_set1(0.16666667f)), r, v_set1(0.5f));
  return v_fma(v_mul(r, r), q, r);
}

/* 2^n for -126 <= n <= 127 */
INLINE vf v_power_of_two(vi n) { return v_from_bits((n + 127) << 23); }

/* Subnormal results and infinity included: the power is applied in two halves. */
INLINE vf v_exp(vf x) {
  x = v_max(v_set1(-105.0f), v_min(v_set1(90.0f), x)); /* in this order NaN passes */
  vi n;
  vf r = v_reduce_exp(x, &n);
  vi half = n >> 1;
  return v_mul(v_mul(v_add(v_small_expm1(r), v_set1(1.0f)), v_power_of_two(half)), v_power_of_two(n - half));
}

/* exp(x) - 1 for x <= 0 */
INLINE vf v_expm1_negative(vf x) {
  x = v_max(v_set1(-30.0f), x);
  vi n;
  vf r = v_reduce_exp(x, &n);
  vf power = v_power_of_two(n);
  return v_fma(power, v_small_expm1(r), v_sub(power, v_set1(1.0f)));
}

/* 2 atanh(s) for |s| <= 1/3, which is log((1 + s) / (1 - s)) */
INLINE vf v_small_log(vf s) {
  vf z = v_mul(s, s);
  vf high = V_POLY2(z, 0.22095747f, 0.18814822f, 0.16757344f);
  vf p = v_fma(v_fma(v_fma(high, z, v_set1(0.2857996f)), z, v_set1(0.39999768f)), z, v_set1(0.6666667f));
  return v_fma(v_mul(s, z), p, v_add(s, s));
}

/* log of positive normal numbers */
INLINE vf v_log(vf x) {
  vi exponent = (v_bits(x) - 0x3f3504f3) >> 23; /* x = 2^exponent m, sqrt(1/2) <= m < sqrt(2) */
  vf m = v_from_bits(v_bits(x) - (exponent << 23));
  vf f = v_sub(m, v_set1(1.0f));
  vf log_m = v_small_log(v_div(f, v_add(v_set1(2.0f), f)));
  vf power = v_sub(v_from_bits(exponent + v_bits(v_set1(ROUND_MAGIC))), v_set1(ROUND_MAGIC));
  vf low = v_fma(power, v_set1(-2.12194440e-4f), log_m);
  return v_add(v_fma(power, v_set1(0.693359375f), low), v_sub(x, x)); /* x - x: NaN where x is not finite */
}

/* log(1 + x) for 0 <= x <= 1 */
INLINE vf v_log1p_unit(vf x) { return v_small_log(v_div(x, v_add(v_set1(2.0f), x))); }

/* the sign of x with the value of a, a >= 0 */
INLINE vf v_with_sign(vf a, vf x) { return v_from_bits(v_bits(a) | (v_bits(x) & (int32_t)0x80000000)); }

/* tanh |x| = -e / (2 + e), e = exp(-2 |x|) - 1 */
INLINE vf v_tanh(vf x) {
  vf e = v_expm1_negative(v_mul(v_set1(-2.0f), v_abs(x)));
  return v_with_sign(v_div(v_negate(e), v_add(v_set1(2.0f), e)), x);
}

INLINE vf v_sigmoid(vf x) {
  vf z = v_exp(v_negate(v_abs(x)));
  vf one = v_set1(1.0f);
  return v_div(v_if_greater(v_zero(), x, z, one), v_add(one, z));
}

/* |x| < 1: x + x p(x^2); else 1 - exp(-q(|x|)), q = -log(erfc) */
INLINE vf v_erf(vf x) {
  vf z = v_mul(x, x);
  vf high = V_POLY2(z, 0.005187162f, -0.0007997853f, 7.806903e-05f);
  vf p = v_fma(v_fma(v_fma(high, z, v_set1(-0.026853347f)), z, v_set1(0.11283579f)), z, v_set1(-0.37612626f));
  vf near = v_fma(x, v_fma(p, z, v_set1(0.12837917f)), x);
  vf a = v_min(v_set1(4.0f), v_abs(x));
  vf upper = V_POLY2(a, -0.021955753f, 0.0029759842f, -0.00018915806f);
  vf middle = v_fma(v_fma(v_fma(upper, a, v_set1(0.103361964f)), a, v_set1(0.63784003f)), a, v_set1(1.1272794f));
  vf q = v_fma(middle, a, v_set1(0.00029303253f));
  vf far = v_with_sign(v_sub(v_set1(1.0f), v_exp(v_negate(q))), x);
  return v_if_greater(v_set1(1.0f), v_abs(x), near, far);
}
#endif
