/* Philox4x32-10 (Salmon et al. 2011) and dropout. Integers only: exact everywhere. */
#ifndef LOCKSTEP_RANDOM_H
#define LOCKSTEP_RANDOM_H
#include "elementwise.h"

enum { PURPOSE_DROPOUT = 1, PHILOX_BATCH = 16 };

/* words[4 b + w] = word w of philox(key, (c0, c1, c2, first + b)), b < PHILOX_BATCH */
static void philox_batch(uint32_t key0, uint32_t key1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t first, uint32_t *words) {
  int32_t counters[PHILOX_BATCH], part[4][PHILOX_BATCH];
  for (int b = 0; b < PHILOX_BATCH; b++) counters[b] = (int32_t)(first + (uint32_t)b);
  for (int b = 0; b < PHILOX_BATCH; b += VW) {
    vi x0 = vi_set1((int32_t)c0), x1 = vi_set1((int32_t)c1), x2 = vi_set1((int32_t)c2), x3 = vi_load(counters + b);
    uint32_t k0 = key0, k1 = key1;
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      vi high0, high1;
      const vi low0 = vi_multiply_wide(x0, 0xD2511F53u, &high0), low1 = vi_multiply_wide(x2, 0xCD9E8D57u, &high1);
      x0 = high1 ^ x1 ^ (int32_t)k0;
      x2 = high0 ^ x3 ^ (int32_t)k1;
      x1 = low1;
      x3 = low0;
    }
    vi_store(part[0] + b, x0);
    vi_store(part[1] + b, x1);
    vi_store(part[2] + b, x2);
    vi_store(part[3] + b, x3);
  }
  for (int b = 0; b < PHILOX_BATCH; b++)
    for (int w = 0; w < 4; w++) words[4 * b + w] = (uint32_t)part[w][b];
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
