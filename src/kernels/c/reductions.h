/* Sums in the fixed tree over shards (numerics/tree.ts) as a stack machine, sums of squares, the gradient's norm. */
#ifndef LOCKSTEP_REDUCTIONS_H
#define LOCKSTEP_REDUCTIONS_H
#include "elementwise.h"
#include "sixteen.h"

/* The nodes that can wait on the stack: twice the tree's depth. */
enum { TREE_STACK = 64 };

/* Records `from` + i * stride, i < count, added in the tree; returns what remains on the stack. n elements of each. */
INLINE int tree_sum(vf *stack, const float *from, int64_t stride, int count, const int32_t *merges, int n) {
  int depth = 0;
  for (int i = 0; i < count; i++) {
    stack[depth++] = v_load_first(from + i * stride, n, 0);
    for (int m = merges[i]; m > 0; m--, depth--) stack[depth - 2] = v_add(stack[depth - 2], stack[depth - 1]);
  }
  return depth;
}

/* own (stride at record 0) or gathered (at nodeStart) nodes of columns from .. from+count-1 of the worker's leaves */
static void kernel_sumNodes(const Context *c, const sumNodes_args *a) {
  const StepTable *t = c->table;
  const float *leaves = at(c, a->leaves) + (int64_t)t->firstShard * a->columns + a->from;
  float *out = at(c, a->out) + (a->gathered ? (int64_t)t->nodeStart * a->stride : 0);
  const int32_t *merges = ints_at(c, t->mergesOffset);
  int from, to;
  lane_elements(c, a->count, &from, &to);
  FOR_VECTORS(from, to, {
    vf stack[TREE_STACK];
    int nodes = tree_sum(stack, leaves + i, a->columns, t->shards, merges, n);
    for (int j = 0; j < nodes; j++) v_store_first(out + (int64_t)j * a->stride + i, stack[j], n);
  });
}

/* out[count] = all workers' gathered nodes added in the tree */
static void kernel_sumMerge(const Context *c, const sumMerge_args *a) {
  const StepTable *t = c->table;
  const float *nodes = at(c, a->nodes);
  float *out = at(c, a->out);
  const int32_t *merges = ints_at(c, t->globalMergesOffset);
  int from, to;
  lane_elements(c, a->count, &from, &to);
  FOR_VECTORS(from, to, {
    vf stack[TREE_STACK];
    int roots = tree_sum(stack, nodes + i, a->stride, t->globalNodes, merges, n);
    v_store_first(out + i, roots > 0 ? stack[0] : v_zero(), n);
  });
}

/* results[RESULTS_HEADER + (firstShard + s) * metrics + metric] = sum of x over the rows of shard s, in float64 */
static void kernel_shardSums(const Context *c, const shardSums_args *a) {
  if (c->lane != 0) return;
  const StepTable *t = c->table;
  const int32_t *rows = ints_at(c, t->shardRowsOffset);
  const float *x = at(c, a->x);
  float *out = at(c, t->resultsOffset) + RESULTS_HEADER + (int64_t)t->firstShard * a->metrics + a->metric;
  for (int s = 0; s < t->shards; s++) {
    double sum = 0;
    for (int r = rows[s]; r < rows[s + 1]; r++) sum += x[r];
    out[(int64_t)s * a->metrics] = (float)sum;
  }
}

/* Sum of the squares of x[count] in float64 by 16 virtual accumulators. The square of a float32 is exact there, and neither
   overflows nor vanishes. */
INLINE double sum_of_squares(const float *x, int count) {
  vd low[16 / VW];
#if VW > 1
  vd high[16 / VW];
  for (int j = 0; j < 16 / VW; j++) high[j] = (vd){0};
#endif
  for (int j = 0; j < 16 / VW; j++) low[j] = vd_low(v_zero());
  FOR_SIXTEENS(count, {
    const vf value = v_load_first(x + i, n, 0);
    low[j] += vd_low(value) * vd_low(value);
#if VW > 1
    high[j] += vd_high(value) * vd_high(value);
#endif
  });
  double sum[16];
  for (int j = 0; j < 16 / VW; j++) {
    vd_store(sum + j * VW, low[j]);
#if VW > 1
    vd_store(sum + j * VW + VW / 2, high[j]);
#endif
  }
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; i++) sum[i] += sum[i + step];
  return sum[0];
}

/* blocks[b] = norm of the b-th 4096 elements of x[count] * inverseWeight */
static void kernel_blockNorms(const Context *c, const blockNorms_args *a) {
  int count = (a->count + NORM_BLOCK_SIZE - 1) / NORM_BLOCK_SIZE, from, to;
  lane_share(c, count, &from, &to);
  for (int b = from; b < to; b++) {
    int64_t left = a->count - (int64_t)b * NORM_BLOCK_SIZE;
    int size = left < NORM_BLOCK_SIZE ? (int)left : NORM_BLOCK_SIZE;
    double squares = sum_of_squares(at(c, a->x) + (int64_t)b * NORM_BLOCK_SIZE, size);
    at(c, a->blocks)[b] = (float)(__builtin_sqrt(squares) * (double)c->table->inverseWeight);
  }
}

/* clip[0] = norm = sqrt(tree sum of blocks[count]^2), clip[1] = min(1, maximum / norm); in float64 */
static void kernel_clipFactor(const Context *c, const clipFactor_args *a) {
  if (c->lane != 0) return;
  const float *blocks = at(c, a->blocks);
  double stack[TREE_STACK] = {0};
  int depth = 0;
  for (int b = 0; b < a->count; b++) {
    stack[depth++] = (double)blocks[b] * blocks[b];
    for (unsigned full = (unsigned)b + 1; !(full & 1); full >>= 1, depth--) stack[depth - 2] += stack[depth - 1];
  }
  for (; depth > 1; depth--) stack[depth - 2] += stack[depth - 1];
  float norm = (float)__builtin_sqrt(stack[0]);
  float *clip = at(c, a->clip);
  clip[0] = norm;
  clip[1] = norm > a->maximum ? a->maximum / norm : 1.0f;
  at(c, c->table->resultsOffset)[0] = norm;
}
#endif
