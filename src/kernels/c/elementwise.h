/* Kernels that treat every element alike: fill, add, copies and activations. Bound by memory. */
#ifndef LOCKSTEP_ELEMENTWISE_H
#define LOCKSTEP_ELEMENTWISE_H
#include "context.h"

/* Elements from .. to-1 of a lane when `count` are divided in whole cache lines. */
INLINE void lane_elements(const Context *c, int count, int *from, int *to) {
  lane_share(c, (count + 15) / 16, from, to);
  *from *= 16;
  *to = *to * 16 < count ? *to * 16 : count;
}

/* The body for the elements i, n of them, over a range: whole vectors with n = VW, then the tail. */
#define FOR_VECTORS(from, to, ...)                    \
  do {                                                \
    int64_t i = (from), end_ = (to);                  \
    for (const int n = VW; i + VW <= end_; i += VW) { \
      __VA_ARGS__                                     \
    }                                                 \
    if (i < end_) {                                   \
      const int n = (int)(end_ - i);                  \
      __VA_ARGS__                                     \
    }                                                 \
  } while (0)

INLINE void zero(float *x, int64_t count) { FOR_VECTORS(0, count, v_store_first(x + i, v_zero(), n);); }

static void kernel_fill(const Context *c, const fill_args *a) {
  float *out = at(c, a->out);
  vf value = v_set1(a->value);
  int from, to;
  lane_elements(c, a->count, &from, &to);
  FOR_VECTORS(from, to, v_store_first(out + i, value, n););
}

/* y[rows, size] = activation(a + b) */
static void kernel_add(const Context *c, const add_args *a) {
  float *y = at(c, a->y);
  const float *left = at(c, a->a), *right = at(c, a->b);
  int64_t from = (int64_t)lane_rows_from(c) * a->size, to = (int64_t)lane_rows_to(c) * a->size;
  if (a->activation)
    FOR_VECTORS(from, to, {
      v_store_first(y + i, v_relu(v_add(v_load_first(left + i, n, 0), v_load_first(right + i, n, 0))), n);
    });
  else
    FOR_VECTORS(from, to, {
      v_store_first(y + i, v_add(v_load_first(left + i, n, 0), v_load_first(right + i, n, 0)), n);
    });
}

/* y[r, yFrom + j] = x[r, xFrom + j], j < count, r over rows * positions */
static void kernel_copyColumns(const Context *c, const copyColumns_args *a) {
  float *y = at(c, a->y) + a->yFrom;
  const float *x = at(c, a->x) + a->xFrom;
  int64_t from = (int64_t)lane_rows_from(c) * a->positions, to = (int64_t)lane_rows_to(c) * a->positions;
  for (int64_t r = from; r < to; r++) {
    float *y_row = y + r * a->yColumns;
    const float *x_row = x + r * a->xColumns;
    FOR_VECTORS(0, a->count, v_store_first(y_row + i, v_load_first(x_row + i, n, 0), n););
  }
}
#endif
