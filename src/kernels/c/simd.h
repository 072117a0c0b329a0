/* Vectors of the instruction set this file is compiled for. VW floats each; every operation is exact or correctly
   rounded, so results do not depend on VW. Fused multiply-add is always fma(): one rounding.
   The strict WebAssembly build has no fma; there it is multiply then add, and the fingerprint differs. */
#ifndef LOCKSTEP_SIMD_H
#define LOCKSTEP_SIMD_H
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
#define VW 16
typedef __m512 vf;
INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE vf v_set1(float a) { return _mm512_set1_ps(a); }
INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); } /* a > b ? a : b; b where either is NaN */
INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
/* a where m > 0, else +0 */
INLINE vf v_where_positive(vf m, vf a) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(m, _mm512_setzero_ps(), _CMP_GT_OQ), a);
}
INLINE vf v_if_greater(vf x, vf y, vf a, vf b) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_GT_OQ), b, a);
}
/* a where x > y or x is NaN, else b */
INLINE vf v_if_wins(vf x, vf y, vf a, vf b) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_GT_OQ) | _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), b, a);
}
INLINE vf v_load_first(const float *p, int n, float rest) {
  return n >= VW ? v_load(p) : _mm512_mask_loadu_ps(v_set1(rest), (__mmask16)((1u << n) - 1), p);
}
INLINE void v_store_first(float *p, vf a, int n) {
  if (n >= VW) v_store(p, a);
  else _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}
INLINE vf v_keep_first(vf a, int n) {
  return n >= VW ? a : _mm512_maskz_mov_ps((__mmask16)((1u << n) - 1), a);
}
#define V_HAS_FIRST
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VW 8
typedef __m256 vf;
INLINE vf v_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
INLINE vf v_set1(float a) { return _mm256_set1_ps(a); }
INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
INLINE vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf v_where_positive(vf m, vf a) {
  return _mm256_and_ps(_mm256_cmp_ps(m, _mm256_setzero_ps(), _CMP_GT_OQ), a);
}
INLINE vf v_if_greater(vf x, vf y, vf a, vf b) {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_GT_OQ));
}
INLINE vf v_if_wins(vf x, vf y, vf a, vf b) {
  return _mm256_blendv_ps(b, a, _mm256_or_ps(_mm256_cmp_ps(x, y, _CMP_GT_OQ), _mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
INLINE __m256i v_first_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vf v_load_first(const float *p, int n, float rest) {
  if (n >= VW) return v_load(p);
  const __m256i mask = v_first_mask(n);
  return _mm256_blendv_ps(v_set1(rest), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}
INLINE void v_store_first(float *p, vf a, int n) {
  if (n >= VW) v_store(p, a);
  else _mm256_maskstore_ps(p, v_first_mask(n), a);
}
INLINE vf v_keep_first(vf a, int n) {
  return n >= VW ? a : _mm256_and_ps(a, _mm256_castsi256_ps(v_first_mask(n)));
}
#define V_HAS_FIRST
#elif defined(__ARM_NEON) && !defined(LOCKSTEP_PORTABLE) && defined(__aarch64__)
#include <arm_neon.h>
#define VW 4
typedef float32x4_t vf;
INLINE vf v_load(const float *p) { return vld1q_f32(p); }
INLINE void v_store(float *p, vf a) { vst1q_f32(p, a); }
INLINE vf v_set1(float a) { return vdupq_n_f32(a); }
INLINE vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
INLINE vf v_sqrt(vf a) { return vsqrtq_f32(a); }
INLINE vf v_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE vf v_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
INLINE vf v_where_positive(vf m, vf a) {
  return vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(m, vdupq_n_f32(0)), vreinterpretq_u32_f32(a)));
}
INLINE vf v_if_greater(vf x, vf y, vf a, vf b) { return vbslq_f32(vcgtq_f32(x, y), a, b); }
INLINE vf v_if_wins(vf x, vf y, vf a, vf b) { return vbslq_f32(vornq_u32(vcgtq_f32(x, y), vceqq_f32(x, x)), a, b); }
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define VW 4
typedef v128_t vf;
INLINE vf v_load(const float *p) { return wasm_v128_load(p); }
INLINE void v_store(float *p, vf a) { wasm_v128_store(p, a); }
/* A constant is hidden from the compiler: it would write all 16 bytes at every use, and V8 makes five instructions of
   that inside of loops; a number in a local is spread once, outside. */
INLINE vf v_set1(float a) {
  if (__builtin_constant_p(a) && a != 0) __asm__("" : "+r"(a));
  return wasm_f32x4_splat(a);
}
INLINE vf v_add(vf a, vf b) { return wasm_f32x4_add(a, b); }
INLINE vf v_sub(vf a, vf b) { return wasm_f32x4_sub(a, b); }
INLINE vf v_mul(vf a, vf b) { return wasm_f32x4_mul(a, b); }
INLINE vf v_div(vf a, vf b) { return wasm_f32x4_div(a, b); }
INLINE vf v_sqrt(vf a) { return wasm_f32x4_sqrt(a); }
INLINE vf v_max(vf a, vf b) { return wasm_f32x4_pmax(b, a); } /* pmax(x, y) = x < y ? y : x */
INLINE vf v_min(vf a, vf b) { return wasm_f32x4_pmin(b, a); }
#if defined(__wasm_relaxed_simd__)
INLINE vf v_fma(vf a, vf b, vf c) { return wasm_f32x4_relaxed_madd(a, b, c); }
#else
INLINE vf v_fma(vf a, vf b, vf c) { return wasm_f32x4_add(wasm_f32x4_mul(a, b), c); }
#endif
INLINE vf v_where_positive(vf m, vf a) { return wasm_v128_and(wasm_f32x4_gt(m, wasm_f32x4_splat(0)), a); }
INLINE vf v_if_greater(vf x, vf y, vf a, vf b) { return wasm_v128_bitselect(a, b, wasm_f32x4_gt(x, y)); }
INLINE vf v_if_wins(vf x, vf y, vf a, vf b) {
  return wasm_v128_bitselect(a, b, wasm_v128_or(wasm_f32x4_gt(x, y), wasm_f32x4_ne(x, x)));
}
#else
#define VW 1
typedef float vf;
/* fma without the instruction: the product is exact in double, the sum is rounded to odd (Boldo and Melquiond 2008), so
   that the rounding to float is the only one. */
INLINE float one_fma(float a, float b, float c) {
  union {
    double d;
    uint64_t u;
  } sum, rest;
  double product = (double)a * b, addend = c;
  sum.d = product + addend;
  double part = sum.d - product;
  rest.d = (product - (sum.d - part)) + (addend - part);
  /* 0 < |rest|: where the sum is even, step to its odd neighbour on rest's side; inf and NaN stay */
  if (rest.d != 0 && !(sum.u & 1) && (sum.u & 0x7ff0000000000000u) != 0x7ff0000000000000u)
    sum.u += ((sum.u ^ rest.u) >> 63) ? (uint64_t)-1 : 1;
  return (float)sum.d;
}
INLINE vf v_load(const float *p) { return *p; }
INLINE void v_store(float *p, vf a) { *p = a; }
INLINE vf v_set1(float a) { return a; }
INLINE vf v_add(vf a, vf b) { return a + b; }
INLINE vf v_sub(vf a, vf b) { return a - b; }
INLINE vf v_mul(vf a, vf b) { return a * b; }
INLINE vf v_div(vf a, vf b) { return a / b; }
INLINE vf v_sqrt(vf a) { return __builtin_sqrtf(a); }
INLINE vf v_max(vf a, vf b) { return a > b ? a : b; }
INLINE vf v_min(vf a, vf b) { return a < b ? a : b; }
INLINE vf v_fma(vf a, vf b, vf c) { return one_fma(a, b, c); }
INLINE vf v_where_positive(vf m, vf a) { return m > 0 ? a : 0.0f; }
INLINE vf v_if_greater(vf x, vf y, vf a, vf b) { return x > y ? a : b; }
INLINE vf v_if_wins(vf x, vf y, vf a, vf b) { return x > y || x != x ? a : b; }
#endif

INLINE vf v_zero(void) { return v_set1(0.0f); }

/* One element with the same rounding as the vectors. */
INLINE float s_fma(float a, float b, float c) {
#if VW == 1
  return one_fma(a, b, c);
#elif defined(__wasm_simd128__)
  return wasm_f32x4_extract_lane(v_fma(v_set1(a), v_set1(b), v_set1(c)), 0);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

/* max(a, 0); NaN stays NaN, so that a number gone bad is seen in the loss */
INLINE vf v_relu(vf a) { return v_max(v_zero(), a); }

/* Integers of the same width: + - * & | ^ << >> are C's own operators on them (GCC and clang vector extensions). */
#if VW == 1
typedef int32_t vi;
typedef union {
  vf f;
  vi i;
} VectorBits;
INLINE vi v_bits(vf a) { return ((VectorBits){.f = a}).i; }
INLINE vf v_from_bits(vi a) { return ((VectorBits){.i = a}).f; }
INLINE vi vi_set1(int32_t a) { return a; }
INLINE vi vi_equal(vi a, vi b) { return -(a == b); } /* all bits where equal, else 0 */
#else
typedef int32_t vi __attribute__((vector_size(4 * VW)));
INLINE vi v_bits(vf a) { return (vi)a; }
INLINE vf v_from_bits(vi a) { return (vf)a; }
INLINE vi vi_set1(int32_t a) { return (vi){0} + a; }
INLINE vi vi_equal(vi a, vi b) { return a == b; }
#endif

/* a * m as 64-bit products: the low words are returned, the high words go to *high. Unsigned. */
INLINE vi vi_multiply_wide(vi a, uint32_t m, vi *high) {
#if VW == 16
  const __m512i by = _mm512_set1_epi32((int32_t)m);
  const __m512i even = _mm512_mul_epu32((__m512i)a, by), odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)a, 32), by);
  *high = (vi)_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  return (vi)_mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
#elif VW == 8
  const __m256i by = _mm256_set1_epi32((int32_t)m);
  const __m256i even = _mm256_mul_epu32((__m256i)a, by), odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)a, 32), by);
  *high = (vi)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  return (vi)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
#elif VW == 4 && defined(__wasm_simd128__)
  const v128_t by = wasm_u32x4_splat(m);
  const v128_t low = wasm_u64x2_extmul_low_u32x4((v128_t)a, by), upper = wasm_u64x2_extmul_high_u32x4((v128_t)a, by);
  *high = (vi)wasm_i32x4_shuffle(low, upper, 1, 3, 5, 7);
  return (vi)wasm_i32x4_shuffle(low, upper, 0, 2, 4, 6);
#elif VW == 4
  const uint32x2_t by = vdup_n_u32(m);
  const uint32x4_t low = vreinterpretq_u32_u64(vmull_u32(vget_low_u32((uint32x4_t)a), by));
  const uint32x4_t upper = vreinterpretq_u32_u64(vmull_u32(vget_high_u32((uint32x4_t)a), by));
  *high = (vi)vuzp2q_u32(low, upper);
  return (vi)vuzp1q_u32(low, upper);
#else
  const uint64_t product = (uint64_t)(uint32_t)a * m;
  *high = (vi)(product >> 32);
  return (vi)(uint32_t)product;
#endif
}
/* By memcpy, as integers: through a float pointer the compiler may assume that they are other memory. */
INLINE void vi_store(int32_t *p, vi a) { __builtin_memcpy(p, &a, sizeof a); }
INLINE vi vi_load(const int32_t *p) {
  vi a;
  __builtin_memcpy(&a, p, sizeof a);
  return a;
}

/* Float64, for sums whose squares leave the range of float32: the first and second half of a vector. + and * are C's own
   operators on them. With one element a vector there is no second half. */
#if VW == 1
typedef double vd;
INLINE vd vd_low(vf a) { return a; }
#else
typedef double vd __attribute__((vector_size(4 * VW)));
#if VW == 16
INLINE vd vd_low(vf a) { return (vd)_mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
INLINE vd vd_high(vf a) { return (vd)_mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1))); }
#elif VW == 8
INLINE vd vd_low(vf a) { return (vd)_mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
INLINE vd vd_high(vf a) { return (vd)_mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
#elif defined(__wasm_simd128__)
INLINE vd vd_low(vf a) { return (vd)wasm_f64x2_promote_low_f32x4(a); }
INLINE vd vd_high(vf a) { return (vd)wasm_f64x2_promote_low_f32x4(wasm_i32x4_shuffle(a, a, 2, 3, 0, 1)); }
#else
INLINE vd vd_low(vf a) { return (vd)vcvt_f64_f32(vget_low_f32(a)); }
INLINE vd vd_high(vf a) { return (vd)vcvt_high_f64_f32(a); }
#endif
#endif
INLINE void vd_store(double *p, vd a) { __builtin_memcpy(p, &a, sizeof a); }

INLINE vf v_abs(vf a) { return v_from_bits(v_bits(a) & 0x7fffffff); }
INLINE vf v_negate(vf a) { return v_from_bits(v_bits(a) ^ (int32_t)0x80000000); }

/* The first n elements (0 < n); the rest of the vector is `rest` when loaded, untouched when stored, 0 when kept.
   A constant n = VW compiles to the plain load and store, so one inline body serves the loop and its tail. */
#ifndef V_HAS_FIRST
INLINE vf v_load_first(const float *p, int n, float rest) {
  if (n >= VW) return v_load(p);
  float part[VW];
  for (int i = 0; i < VW; i++) part[i] = i < n ? p[i] : rest;
  return v_load(part);
}
INLINE void v_store_first(float *p, vf a, int n) {
  if (n >= VW) {
    v_store(p, a);
    return;
  }
  float part[VW];
  v_store(part, a);
  for (int i = 0; i < VW; i++)
    if (i < n) p[i] = part[i];
}
INLINE vf v_keep_first(vf a, int n) {
  if (n >= VW) return a;
  float part[VW];
  v_store(part, a);
  return v_load_first(part, n, 0.0f);
}
#endif
#endif
