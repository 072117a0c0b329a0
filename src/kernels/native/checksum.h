/* CRC-32 as zlib and Ethernet have it (reflected polynomial 0xedb88320), on bytes wherever they lie. Three ways to the same
   number: tables (any processor), folding of four 16-byte lanes by carry-less products (PCLMULQDQ, PMULL), and the same
   with lanes of 64 bytes (VPCLMULQDQ). Functions here take and give the remainder without zlib's two inversions.

   Folding: a lane that lies D bits ahead of another may be multiplied by x^D modulo the polynomial and added to it. Bits are
   reflected: the lowest bit of a lane is its highest power, and a product of two 64-bit halves comes out one power short. */
#ifndef LOCKSTEP_CHECKSUM_H
#define LOCKSTEP_CHECKSUM_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t Checksum(const uint8_t *data, size_t length, uint32_t remainder);

/* [k][byte]: the remainder of this byte with k bytes of zero behind it */
static uint32_t checksum_tables[8][256];
/* Factors for the low and the high half of a lane, for lanes 64 and 256 bytes apart. */
static uint64_t fold_64_bytes[2], fold_256_bytes[2];

static inline uint32_t times_x(uint32_t remainder) { return remainder >> 1 ^ (0xedb88320u & -(remainder & 1)); }

/* x^n modulo the polynomial, in the upper half: as a factor of degree below 32. */
static uint64_t power_of_x(int n) {
  uint32_t power = 0x80000000u;
  while (n-- > 0) power = times_x(power);
  return (uint64_t)power << 32;
}

static void fold_factors(uint64_t factors[2], int bits) {
  factors[0] = power_of_x(bits + 63);
  factors[1] = power_of_x(bits - 1);
}

/* When the library is loaded, before any thread can ask. */
__attribute__((constructor)) static void prepare_checksums(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t remainder = byte;
    for (int k = 0; k < 8; k++) {
      for (int bit = 0; bit < 8; bit++) remainder = times_x(remainder);
      checksum_tables[k][byte] = remainder;
    }
  }
  fold_factors(fold_64_bytes, 8 * 64);
  fold_factors(fold_256_bytes, 8 * 256);
}

static inline uint32_t word_at(const uint8_t *p) {
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t checksum_by_tables(const uint8_t *data, size_t length, uint32_t remainder) {
  const uint32_t(*t)[256] = checksum_tables;
  for (; length >= 8; data += 8, length -= 8) {
    const uint32_t a = word_at(data) ^ remainder, b = word_at(data + 4);
    remainder = t[7][a & 255] ^ t[6][a >> 8 & 255] ^ t[5][a >> 16 & 255] ^ t[4][a >> 24] ^ t[3][b & 255] ^
                t[2][b >> 8 & 255] ^ t[1][b >> 16 & 255] ^ t[0][b >> 24];
  }
  while (length-- > 0) remainder = remainder >> 8 ^ t[0][(remainder ^ *data++) & 255];
  return remainder;
}

#if defined(__x86_64__)
#include <immintrin.h>
#define LANES __attribute__((target("pclmul,sse4.1")))
typedef __m128i Lane;
LANES static inline Lane lane_load(const void *p) { return _mm_loadu_si128(p); }
LANES static inline void lane_store(void *p, Lane a) { _mm_storeu_si128(p, a); }
LANES static inline Lane lane_add(Lane a, Lane b) { return _mm_xor_si128(a, b); }
LANES static inline Lane lane_fold(Lane a, Lane by) {
  return _mm_xor_si128(_mm_clmulepi64_si128(a, by, 0x00), _mm_clmulepi64_si128(a, by, 0x11));
}
static int has_lanes(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }
static int has_wide_lanes(void) {
  return has_lanes() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__ARM_FEATURE_AES)
#define LANES
#elif !defined(__clang__) /* some versions of clang have no PMULL in functions of their own target */
#define LANES __attribute__((target("+crypto")))
#endif
#endif

#if defined(__aarch64__) && defined(LANES)
typedef uint64x2_t Lane;
LANES static inline Lane lane_load(const void *p) { return vreinterpretq_u64_u8(vld1q_u8(p)); }
LANES static inline void lane_store(void *p, Lane a) { vst1q_u8(p, vreinterpretq_u8_u64(a)); }
LANES static inline Lane lane_add(Lane a, Lane b) { return veorq_u64(a, b); }
LANES static inline Lane lane_fold(Lane a, Lane by) {
  const poly128_t low = vmull_p64(vgetq_lane_u64(a, 0), vgetq_lane_u64(by, 0));
  const poly128_t high = vmull_high_p64(vreinterpretq_p64_u64(a), vreinterpretq_p64_u64(by));
  return veorq_u64(vreinterpretq_u64_p128(low), vreinterpretq_u64_p128(high));
}
#if defined(__ARM_FEATURE_AES)
static int has_lanes(void) { return 1; }
#elif defined(__linux__)
#include <sys/auxv.h>
static int has_lanes(void) { return (getauxval(AT_HWCAP) & 1 << 4) != 0; } /* HWCAP_PMULL */
#else
static int has_lanes(void) { return 0; }
#endif
#endif

#ifdef LANES
/* What is left of the lanes has the remainder of all that went into them; the tables finish it. */
LANES static uint32_t checksum_by_lanes(const uint8_t *data, size_t length, uint32_t remainder) {
  if (length >= 128) {
    uint8_t first[16], left[64];
    memcpy(first, data, 16);
    for (int i = 0; i < 4; i++) first[i] ^= remainder >> 8 * i & 255;
    const Lane by = lane_load(fold_64_bytes);
    Lane a = lane_load(first), b = lane_load(data + 16), c = lane_load(data + 32), d = lane_load(data + 48);
    for (data += 64, length -= 64; length >= 64; data += 64, length -= 64) {
      a = lane_add(lane_fold(a, by), lane_load(data));
      b = lane_add(lane_fold(b, by), lane_load(data + 16));
      c = lane_add(lane_fold(c, by), lane_load(data + 32));
      d = lane_add(lane_fold(d, by), lane_load(data + 48));
    }
    lane_store(left, a);
    lane_store(left + 16, b);
    lane_store(left + 32, c);
    lane_store(left + 48, d);
    remainder = checksum_by_tables(left, sizeof left, 0);
  }
  return checksum_by_tables(data, length, remainder);
}
#endif

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx512f,vpclmulqdq,pclmul,sse4.1")))
WIDE static inline __m512i wide_fold(__m512i a, __m512i by, const uint8_t *next) {
  const __m512i low = _mm512_clmulepi64_epi128(a, by, 0x00), high = _mm512_clmulepi64_epi128(a, by, 0x11);
  return _mm512_ternarylogic_epi64(low, high, _mm512_loadu_si512(next), 0x96); /* the sum of three */
}
WIDE static uint32_t checksum_by_wide_lanes(const uint8_t *data, size_t length, uint32_t remainder) {
  if (length >= 512) {
    uint8_t left[256];
    const __m512i by = _mm512_set4_epi64((int64_t)fold_256_bytes[1], (int64_t)fold_256_bytes[0],
                                         (int64_t)fold_256_bytes[1], (int64_t)fold_256_bytes[0]);
    const __m512i before = _mm512_inserti32x4(_mm512_setzero_si512(), _mm_cvtsi32_si128((int)remainder), 0);
    __m512i a = _mm512_xor_si512(_mm512_loadu_si512(data), before), b = _mm512_loadu_si512(data + 64);
    __m512i c = _mm512_loadu_si512(data + 128), d = _mm512_loadu_si512(data + 192);
    for (data += 256, length -= 256; length >= 256; data += 256, length -= 256) {
      a = wide_fold(a, by, data);
      b = wide_fold(b, by, data + 64);
      c = wide_fold(c, by, data + 128);
      d = wide_fold(d, by, data + 192);
    }
    _mm512_storeu_si512(left, a);
    _mm512_storeu_si512(left + 64, b);
    _mm512_storeu_si512(left + 128, c);
    _mm512_storeu_si512(left + 192, d);
    remainder = checksum_by_lanes(left, sizeof left, 0);
  }
  return checksum_by_lanes(data, length, remainder);
}
#endif
#endif
