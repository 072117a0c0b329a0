/* Philox4x32-10 (Salmon et al. 2011) and dropout. Integers only: exact everywhere. */
#ifndef LOCKSTEP_RANDOM_H
#define LOCKSTEP_RANDOM_H
#include "elementwise.h"

enum { PURPOSE_DROPOUT = 1, PHILOX_BATCH = 16 };

/* out[4 b + w] = word w of philox(key, (c0, c1, c2, first + b)), b < 16; the loops over b are for the compiler to vectorise */
static void philox_batch(uint32_t key0, uint32_t key1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t first, uint32_t *out) {
  uint32_t x0[PHILOX_BATCH], x1[PHILOX_BATCH], x2[PHILOX_BATCH], x3[PHILOX_BATCH];
  for (int b = 0; b < PHILOX_BATCH; b++) x0[b] = c0, x1[b] = c1, x2[b] = c2, x3[b] = first + (uint32_t)b;
  for (int round = 0; round < 10; round++) {
    for (int b = 0; b < PHILOX_BATCH; b++) {
      uint64_t p0 = (uint64_t)0xD2511F53u * x0[b], p1 = (uint64_t)0xCD9E8D57u * x2[b];
      x0[b] = (uint32_t)(p1 >> 32) ^ x1[b] ^ key0;
      x2[b] = (uint32_t)(p0 >> 32) ^ x3[b] ^ key1;
      x1[b] = (uint32_t)p1;
      x3[b] = (uint32_t)p0;
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  for (int b = 0; b < PHILOX_BATCH; b++)
    out[4 * b] = x0[b], out[4 * b + 1] = x1[b], out[4 * b + 2] = x2[b], out[4 * b + 3] = x3[b];
}

/* y[rows, size] = x * scale where kept, else 0 */
static void kernel_dropout(const Context *c, const dropout_args *a) {
  const int32_t *ids = ints_at(c, c->table->sampleIdsOffset);
  uint32_t threshold = (uint32_t)a->threshold;
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++) {
    float *y = at(c, a->y) + (int64_t)r * a->size;
    const float *x = at(c, a->x) + (int64_t)r * a->size;
    for (int from = 0; from < a->size; from += 4 * PHILOX_BATCH) {
      uint32_t words[4 * PHILOX_BATCH];
      float kept[4 * PHILOX_BATCH];
      philox_batch((uint32_t)c->table->seed, PURPOSE_DROPOUT, (uint32_t)c->table->step, (uint32_t)a->layer, (uint32_t)ids[r],
                   (uint32_t)from / 4, words);
      for (int b = 0; b < 4 * PHILOX_BATCH; b++) kept[b] = words[b] < threshold ? 1.0f : 0.0f;
      int count = a->size - from < 4 * PHILOX_BATCH ? a->size - from : 4 * PHILOX_BATCH;
      FOR_VECTORS(0, count, {
        vf scaled = v_mul(v_load_first(x + from + i, n, 0), v_set1(a->scale));
        v_store_first(y + from + i, v_where_positive(v_load_first(kept + i, n, 0), scaled), n);
      });
    }
  }
}
#endif
