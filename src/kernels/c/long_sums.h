/* Sums over many positions, taps or rows whose error does not grow with their number: blocks of 64 terms by four
   accumulators, blocks added with compensation (kernel-list.ts, "long sums"). */
#ifndef LOCKSTEP_LONG_SUMS_H
#define LOCKSTEP_LONG_SUMS_H
#include "elementwise.h"

enum { LONG_BLOCK = 64, ACCUMULATORS = 4 };

#if VW == 16 || defined(__aarch64__)
#define LONG_VECTORS 2 /* summed side by side: 32 registers hold 2 x 4 accumulators of two sums */
#else
#define LONG_VECTORS 1
#endif

INLINE int long_block(int64_t left) { return left < LONG_BLOCK ? (int)left : LONG_BLOCK; }

/* The body for terms t < count of a block, t ascending; a term belongs to accumulator `a` = t mod 4, a constant. */
#define FOR_TERMS(count, ...)                                          \
  do {                                                                 \
    int base_ = 0;                                                     \
    for (; base_ + ACCUMULATORS <= (count); base_ += ACCUMULATORS) {   \
      UNROLL for (int a = 0; a < ACCUMULATORS; a++) {                  \
        const int t = base_ + a;                                       \
        (void)t;                                                       \
        __VA_ARGS__                                                    \
      }                                                                \
    }                                                                  \
    UNROLL for (int a = 0; a < ACCUMULATORS - 1; a++) {                \
      const int t = base_ + a;                                         \
      if (t < (count)) {                                               \
        __VA_ARGS__                                                    \
      }                                                                \
    }                                                                  \
  } while (0)

INLINE vf fold_accumulators(const vf *sum) { return v_add(v_add(sum[0], sum[2]), v_add(sum[1], sum[3])); }

/* (sum, rest) += block, the rounding error of the sum into `rest`: two-sum (Knuth, The Art of Computer Programming 2,
   4.2.2). The first block is taken as it is. */
INLINE void add_block(vf *sum, vf *rest, vf block, int is_first) {
  if (is_first) {
    *sum = block;
    *rest = v_zero();
    return;
  }
  const vf total = v_add(*sum, block), part = v_sub(total, *sum);
  *rest = v_add(*rest, v_add(v_sub(*sum, v_sub(total, part)), v_sub(block, part)));
  *sum = total;
}

/* The same with (sum, rest) in memory: n elements. */
INLINE void add_block_at(float *sum, float *rest, vf block, int n, int is_first) {
  vf s = v_zero(), r = v_zero();
  if (!is_first) s = v_load_first(sum, n, 0), r = v_load_first(rest, n, 0);
  add_block(&s, &r, block, is_first);
  v_store_first(sum, s, n);
  v_store_first(rest, r, n);
}

/* A walk over the columns 0 .. count-1: step(column, vectors, n) for LONG_VECTORS whole vectors at once, then one. */
#define FOR_COLUMN_GROUPS(count, step)                                                                      \
  do {                                                                                                      \
    int column_ = 0;                                                                                        \
    for (; column_ + LONG_VECTORS * VW <= (count); column_ += LONG_VECTORS * VW) step(column_, LONG_VECTORS, VW); \
    for (; column_ + VW <= (count); column_ += VW) step(column_, 1, VW);                                    \
    if (column_ < (count)) step(column_, 1, (count) - column_);                                             \
  } while (0)
#endif
