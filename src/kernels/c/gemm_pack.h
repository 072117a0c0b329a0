/* Packing: copies operands into the panels that the register tiles read. A panel is [k][columns of the panel
   rounded up to whole vectors], the missing columns zero; panels of one block follow each other. */
#ifndef LOCKSTEP_GEMM_PACK_H
#define LOCKSTEP_GEMM_PACK_H
#include "gemm_tile.h"

INLINE void copy_floats(float *to, const float *from, int count) {
  int i = 0;
  for (; i + VW <= count; i += VW) v_store(to + i, v_load(from + i));
  if (i < count) v_store_first(to + i, v_load_first(from + i, count - i, 0), count - i);
}

INLINE void zero_floats(float *to, int count) {
  int i = 0;
  for (; i + VW <= count; i += VW) v_store(to + i, v_zero());
  if (i < count) v_store_first(to + i, v_zero(), count - i);
}

/* to[pixels, channels] = columns first .. first + pixels - 1 of an image row, 0 outside of it */
static void copy_padded_row(float *to, const float *row, int width, int channels, int first, int pixels) {
  const int left = min_int(pixels, max_int(0, -first)), end = min_int(width, first + pixels);
  const int inside = max_int(0, end - (first + left));
  zero_floats(to, left * channels);
  copy_floats(to + left * channels, row + (intptr_t)(first + left) * channels, inside * channels);
  zero_floats(to + (left + inside) * channels, (pixels - left - inside) * channels);
}

#define PREFETCH_ROWS 8 /* how far ahead packing asks for rows */

INLINE void prefetch_floats(const float *p, int count) {
  for (int i = 0; i < count; i += 16) __builtin_prefetch(p + i);
}

/* Columns of a panel in memory. */
INLINE int panel_pitch(int columns) { return vectors_of(columns) * VW; }

/* to[k][pitch] = from[k * ld + n], n < columns <= TILE_COLUMNS */
static void pack_panel(float *to, const float *from, intptr_t ld, int depth, int columns) {
  if (columns == TILE_COLUMNS) {
    for (int k = 0; k < depth; k++, from += ld, to += TILE_COLUMNS) {
      UNROLL for (int v = 0; v < TILE_VECTORS; v++) v_store(to + v * VW, v_load(from + v * VW));
    }
    return;
  }
  const int vectors = vectors_of(columns), last = columns - (vectors - 1) * VW;
  for (int k = 0; k < depth; k++, from += ld, to += vectors * VW) {
    for (int v = 0; v < vectors - 1; v++) v_store(to + v * VW, v_load(from + v * VW));
    v_store(to + (vectors - 1) * VW, v_load_first(from + (vectors - 1) * VW, last, 0));
  }
}

#if VW > 1
/* Four rows by 128-bit lanes: rows j, j + 4, ... of the VW rows at `from`, four columns of each. */
INLINE vf load_lanes(const float *from, intptr_t ld) {
#if VW == 16
  __m512 a = _mm512_castps128_ps512(_mm_loadu_ps(from));
  a = _mm512_insertf32x4(a, _mm_loadu_ps(from + 4 * ld), 1);
  a = _mm512_insertf32x4(a, _mm_loadu_ps(from + 8 * ld), 2);
  return _mm512_insertf32x4(a, _mm_loadu_ps(from + 12 * ld), 3);
#elif VW == 8
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(from + 4 * ld), 1);
#else
  (void)ld;
  return v_load(from);
#endif
}

#if VW == 16
#define LOW_PAIRS(a, b) _mm512_unpacklo_ps(a, b)
#define HIGH_PAIRS(a, b) _mm512_unpackhi_ps(a, b)
#define LOW_HALVES(a, b) _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
#define HIGH_HALVES(a, b) _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
#elif VW == 8
#define LOW_PAIRS(a, b) _mm256_unpacklo_ps(a, b)
#define HIGH_PAIRS(a, b) _mm256_unpackhi_ps(a, b)
#define LOW_HALVES(a, b) _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))
#define HIGH_HALVES(a, b) _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))
#elif defined(__wasm_simd128__)
#define LOW_PAIRS(a, b) wasm_i32x4_shuffle(a, b, 0, 4, 1, 5)
#define HIGH_PAIRS(a, b) wasm_i32x4_shuffle(a, b, 2, 6, 3, 7)
#define LOW_HALVES(a, b) wasm_i64x2_shuffle(a, b, 0, 2)
#define HIGH_HALVES(a, b) wasm_i64x2_shuffle(a, b, 1, 3)
#else
#define LOW_PAIRS(a, b) vzip1q_f32(a, b)
#define HIGH_PAIRS(a, b) vzip2q_f32(a, b)
#define LOW_HALVES(a, b) vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))
#define HIGH_HALVES(a, b) vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))
#endif

/* to[j * pitch + n] = from[n * ld + j] for four columns j and VW rows n: a 4 x 4 transpose in each 128-bit
   lane */
INLINE void transpose_four(float *to, intptr_t pitch, const float *from, intptr_t ld) {
  vf r0 = load_lanes(from, ld), r1 = load_lanes(from + ld, ld);
  vf r2 = load_lanes(from + 2 * ld, ld), r3 = load_lanes(from + 3 * ld, ld);
  vf p0 = LOW_PAIRS(r0, r1), p1 = HIGH_PAIRS(r0, r1), p2 = LOW_PAIRS(r2, r3), p3 = HIGH_PAIRS(r2, r3);
  v_store(to, LOW_HALVES(p0, p2));
  v_store(to + pitch, HIGH_HALVES(p0, p2));
  v_store(to + 2 * pitch, LOW_HALVES(p1, p3));
  v_store(to + 3 * pitch, HIGH_HALVES(p1, p3));
}
#endif

/* to[k][pitch] = from[n * ld + k], n < columns <= TILE_COLUMNS: a panel of the transposed matrix */
static void pack_panel_transposed(float *to, const float *from, intptr_t ld, int depth, int columns) {
  const int pitch = panel_pitch(columns);
  int n = 0;
#if VW > 1
  for (; n + VW <= columns; n += VW) {
    const float *row = from + n * ld;
    int k = 0;
    for (; k + 4 <= depth; k += 4) transpose_four(to + k * pitch + n, pitch, row + k, ld);
    for (; k < depth; k++) {
      for (int i = 0; i < VW; i++) to[k * pitch + n + i] = row[i * ld + k];
    }
  }
#endif
  for (; n < pitch; n++) {
    for (int k = 0; k < depth; k++) to[k * pitch + n] = n < columns ? from[n * ld + k] : 0.0f;
  }
}

/* A block of `columns` columns as panels, each depth * panel_pitch floats long. Whole panels are filled side
   by side, so that memory is read in long rows. */
static void pack_block(float *to, const float *from, intptr_t ld, int transposed, int depth, int columns) {
  int n = 0;
  if (!transposed) {
    const int whole = columns / TILE_COLUMNS;
    const intptr_t panel = (intptr_t)TILE_COLUMNS * depth;
    for (int k = 0; k < depth; k++) {
      const float *row = from + k * ld;
      float *out = to + k * TILE_COLUMNS;
      for (int i = 0; i < whole; i++, row += TILE_COLUMNS, out += panel) {
        if (k + PREFETCH_ROWS < depth) prefetch_floats(row + PREFETCH_ROWS * ld, TILE_COLUMNS);
        UNROLL for (int v = 0; v < TILE_VECTORS; v++) v_store(out + v * VW, v_load(row + v * VW));
      }
    }
    n = whole * TILE_COLUMNS;
  }
  for (; n < columns; n += TILE_COLUMNS) {
    const int width = min_int(TILE_COLUMNS, columns - n);
    if (transposed) pack_panel_transposed(to + (intptr_t)n * depth, from + n * ld, ld, depth, width);
    else pack_panel(to + (intptr_t)n * depth, from + n, ld, depth, width);
  }
}

/* to[k][columns] = from[k * ld + m], m < columns <= TILE_ROWS: the rows of a tile whose k are rows in memory.
   Whole vectors are copied wherever what follows in memory is a row of `from`; `to` has room for a vector
   more. */
static void pack_columns(float *to, const float *from, intptr_t ld, int depth, int columns) {
  for (int k = 0; k < depth - 1; k++, from += ld, to += columns) {
    if (ld < TILE_ROWS + VW) copy_floats(to, from, columns);
    else UNROLL for (int i = 0; i < TILE_ROWS; i += VW) v_store(to + i, v_load(from + i));
  }
  if (depth > 0) copy_floats(to, from, columns);
}
#endif
