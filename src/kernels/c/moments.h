/* Statistics of batch normalisation: moments of every shard, their merge in the tree (Chan, Golub, LeVeque 1979), and
   the sums that its gradient needs. A moments record is [count, mean[channels], m2[channels]]. */
#ifndef LOCKSTEP_MOMENTS_H
#define LOCKSTEP_MOMENTS_H
#include "long_sums.h"
#include "normalize.h"
#include "reductions.h"

/* The channels from .. to-1 of a shard that this lane sums: all of them on the lane that has the shard's first row (its
   cache holds them; empty shards go round), or, where lanes are more than shards, a part on every lane. */
INLINE void channels_of_lane(const Context *c, int shard, int channels, int *from, int *to) {
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset);
  if (c->table->shards < c->lanes) {
    lane_elements(c, channels, from, to);
    return;
  }
  const int first = rows[shard], is_empty = first == rows[shard + 1];
  const int is_mine = is_empty ? shard % c->lanes == c->lane : first >= lane_rows_from(c) && first < lane_rows_to(c);
  *from = 0;
  *to = is_mine ? channels : 0;
}

/* sum[], square[] (with their rests) += the sums of x - shift and (x - shift)^2 over `count` positions, for `vectors` vectors
   of n channels */
INLINE void moments_group(float *sum, float *sum_rest, float *square, float *square_rest, const float *x, const float *shift,
                          int64_t channels, int vectors, int n, int count, int is_first) {
  vf s[LONG_VECTORS][ACCUMULATORS], q[LONG_VECTORS][ACCUMULATORS], origin[LONG_VECTORS];
  for (int v = 0; v < vectors; v++) {
    origin[v] = v_load_first(shift + v * VW, n, 0);
    UNROLL for (int a = 0; a < ACCUMULATORS; a++) s[v][a] = q[v][a] = v_zero();
  }
  FOR_TERMS(count, UNROLL for (int v = 0; v < vectors; v++) {
    vf d = v_sub(v_load_first(x + t * channels + v * VW, n, 0), origin[v]);
    s[v][a] = v_add(s[v][a], d);
    q[v][a] = v_fma(d, d, q[v][a]);
  });
  for (int v = 0; v < vectors; v++) {
    add_block_at(sum + v * VW, sum_rest + v * VW, fold_accumulators(s[v]), n, is_first);
    add_block_at(square + v * VW, square_rest + v * VW, fold_accumulators(q[v]), n, is_first);
  }
}

/* shift[n] = x0 + the mean of x - x0 over `count` positions, x0 the first one */
INLINE void block_mean(float *shift, const float *x, int64_t channels, int n, int count) {
  const vf first = v_load_first(x, n, 0);
  vf s[ACCUMULATORS] = {v_zero(), v_zero(), v_zero(), v_zero()};
  FOR_TERMS(count, s[a] = v_add(s[a], v_sub(v_load_first(x + t * channels, n, 0), first)););
  v_store_first(shift, v_add(first, v_div(fold_accumulators(s), v_set1((float)count))), n);
}

/* mean[] and m2[] of `width` channels of one shard: x[positions, channels], positions > 0 */
static void moments_of_shard(float *mean, float *m2, const float *x, int64_t positions, int64_t channels, int width) {
  float shift[CHANNEL_BLOCK], sum[CHANNEL_BLOCK], sum_rest[CHANNEL_BLOCK], square[CHANNEL_BLOCK], square_rest[CHANNEL_BLOCK];
  FOR_VECTORS(0, width, block_mean(shift + i, x + i, channels, n, long_block(positions)););
  for (int64_t from = 0; from < positions; from += LONG_BLOCK) {
    const float *block = x + from * channels;
    const int count = long_block(positions - from);
#define STEP(i, vectors, n)                                                                                        \
  moments_group(sum + (i), sum_rest + (i), square + (i), square_rest + (i), block + (i), shift + (i), channels, vectors, n, \
                count, from == 0)
    FOR_COLUMN_GROUPS(width, STEP);
#undef STEP
  }
  const vf count = v_set1((float)positions);
  FOR_VECTORS(0, width, {
    const vf s = v_load_first(sum + i, n, 0), s_rest = v_load_first(sum_rest + i, n, 0);
    const vf average = v_div(s, count), remainder = v_fma(v_negate(average), count, s);
    const vf product = v_mul(s, average), error = v_fma(s, average, v_negate(product));
    vf low = v_fma(v_negate(s), v_div(remainder, count), v_load_first(square_rest + i, n, 0));
    low = v_sub(v_fma(v_negate(v_add(average, average)), s_rest, low), error);
    const vf high = v_sub(v_load_first(square + i, n, 0), product);
    v_store_first(m2 + i, v_max(v_zero(), v_add(high, low)), n);
    const vf rest = v_div(v_add(remainder, s_rest), count);
    v_store_first(mean + i, v_add(v_load_first(shift + i, n, 0), v_add(average, rest)), n);
  });
}

static void kernel_momentsLeaves(const Context *c, const momentsLeaves_args *a) {
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset);
  const int64_t row = (int64_t)a->positions * a->channels;
  for (int s = 0, first, end; s < c->table->shards; s++) {
    channels_of_lane(c, s, a->channels, &first, &end);
    float *record = at(c, a->leaves) + (int64_t)(c->table->firstShard + s) * (1 + 2 * a->channels);
    const int64_t positions = (int64_t)(rows[s + 1] - rows[s]) * a->positions;
    if (first < end && first == 0) record[0] = (float)positions;
    for (int channel = first; channel < end; channel += CHANNEL_BLOCK) {
      const int width = end - channel < CHANNEL_BLOCK ? end - channel : CHANNEL_BLOCK;
      float *mean = record + 1 + channel, *m2 = mean + a->channels;
      if (positions == 0) zero(mean, width), zero(m2, width);
      else moments_of_shard(mean, m2, at(c, a->x) + rows[s] * row + channel, positions, a->channels, width);
    }
  }
}

typedef struct {
  float count;
  vf mean, m2;
} Moments;

INLINE Moments moments_merge(const Moments *a, const Moments *b) {
  if (b->count == 0) return *a;
  if (a->count == 0) return *b;
  float count = a->count + b->count, share = b->count / count;
  vf delta = v_sub(b->mean, a->mean);
  vf mean = v_fma(delta, v_set1(share), a->mean);
  vf m2 = v_fma(v_mul(delta, delta), v_set1(a->count * share), v_add(a->m2, b->m2));
  return (Moments){count, mean, m2};
}

/* Merges `count` records in the tree for a lane's channels; what remains goes to out + j * (1 + 2 channels). */
static void moments_tree(const Context *c, float *out, const float *records, int count, const int32_t *merges, int channels) {
  const int64_t stride = 1 + 2 * (int64_t)channels;
  int from, to;
  lane_elements(c, channels, &from, &to);
  FOR_VECTORS(from, to, {
    Moments stack[TREE_STACK];
    int depth = 0;
    for (int r = 0; r < count; r++) {
      const float *record = records + r * stride;
      stack[depth++] = (Moments){record[0], v_load_first(record + 1 + i, n, 0), v_load_first(record + 1 + channels + i, n, 0)};
      for (int m = merges[r]; m > 0; m--, depth--) stack[depth - 2] = moments_merge(&stack[depth - 2], &stack[depth - 1]);
    }
    for (int j = 0; j < depth; j++) {
      float *record = out + j * stride;
      if (i == 0) record[0] = stack[j].count;
      v_store_first(record + 1 + i, stack[j].mean, n);
      v_store_first(record + 1 + channels + i, stack[j].m2, n);
    }
  });
}

static void kernel_momentsNodes(const Context *c, const momentsNodes_args *a) {
  const StepTable *t = c->table;
  const int64_t stride = 1 + 2 * (int64_t)a->channels;
  moments_tree(c, at(c, a->nodes) + t->nodeStart * stride, at(c, a->leaves) + t->firstShard * stride, t->shards,
               ints_at(c, t->mergesOffset), a->channels);
}

static void kernel_momentsMerge(const Context *c, const momentsMerge_args *a) {
  moments_tree(c, at(c, a->record), at(c, a->nodes), c->table->globalNodes, ints_at(c, c->table->globalMergesOffset), a->channels);
}

INLINE vf inverse_deviation(vf variance, vf epsilon) { return v_div(v_set1(1.0f), v_sqrt(v_add(variance, epsilon))); }

/* NaN where x is not finite, else x; an inverse deviation of 0 would hide that the variance has overflowed */
INLINE vf v_finite_or_nan(vf x) { return v_add(x, v_sub(x, x)); }

/* mean[records, channels], inverse[records, channels]; records = 0: one for every own shard */
static void kernel_momentsPrepare(const Context *c, const momentsPrepare_args *a) {
  const int64_t stride = 1 + 2 * (int64_t)a->channels;
  const int records = a->records ? a->records : c->table->shards;
  const float *record = at(c, a->record) + (a->records ? 0 : c->table->firstShard * stride);
  const vf epsilon = v_set1(a->epsilon);
  int from, to;
  lane_elements(c, a->channels, &from, &to);
  for (int r = 0; r < records; r++, record += stride) {
    float *mean = at(c, a->mean) + (int64_t)r * a->channels, *inverse = at(c, a->inverse) + (int64_t)r * a->channels;
    const vf count = v_set1(record[0] > 0 ? record[0] : 1.0f);
    FOR_VECTORS(from, to, {
      v_store_first(mean + i, v_load_first(record + 1 + i, n, 0), n);
      vf variance = v_div(v_finite_or_nan(v_load_first(record + 1 + a->channels + i, n, 0)), count);
      v_store_first(inverse + i, inverse_deviation(variance, epsilon), n);
    });
  }
}

static void kernel_momentsRunning(const Context *c, const momentsRunning_args *a) {
  const float *record = at(c, a->record);
  float *running_mean = at(c, a->runningMean), *running_variance = at(c, a->runningVariance);
  if (record[0] < 2) return;
  const vf unbiased = v_set1(record[0] - 1), momentum = v_set1(a->momentum);
  int from, to;
  lane_elements(c, a->channels, &from, &to);
  FOR_VECTORS(from, to, {
    vf mean = v_load_first(running_mean + i, n, 0), variance = v_load_first(running_variance + i, n, 0);
    vf new_variance = v_div(v_load_first(record + 1 + a->channels + i, n, 0), unbiased);
    v_store_first(running_mean + i, v_fma(momentum, v_sub(v_load_first(record + 1 + i, n, 0), mean), mean), n);
    v_store_first(running_variance + i, v_fma(momentum, v_sub(new_variance, variance), variance), n);
  });
}

static void kernel_runningPrepare(const Context *c, const runningPrepare_args *a) {
  const float *running_mean = at(c, a->runningMean), *running_variance = at(c, a->runningVariance);
  const vf epsilon = v_set1(a->epsilon);
  int from, to;
  lane_elements(c, a->channels, &from, &to);
  FOR_VECTORS(from, to, {
    v_store_first(at(c, a->mean) + i, v_load_first(running_mean + i, n, 0), n);
    v_store_first(at(c, a->inverse) + i, inverse_deviation(v_load_first(running_variance + i, n, 0), epsilon), n);
  });
}

/* sum[], product[] (with their rests) += the sums of dy' and dy' (x - mean), as moments_group */
INLINE void gradient_group(float *sum, float *sum_rest, float *product, float *product_rest, const float *dy, const float *x,
                           const float *mask, const float *mean, int64_t channels, int vectors, int n, int count, int is_first) {
  vf s[LONG_VECTORS][ACCUMULATORS], q[LONG_VECTORS][ACCUMULATORS], origin[LONG_VECTORS];
  for (int v = 0; v < vectors; v++) {
    origin[v] = v_load_first(mean + v * VW, n, 0);
    UNROLL for (int a = 0; a < ACCUMULATORS; a++) s[v][a] = q[v][a] = v_zero();
  }
  FOR_TERMS(count, UNROLL for (int v = 0; v < vectors; v++) {
    const int64_t place = t * channels + v * VW;
    vf g = v_load_first(dy + place, n, 0);
    if (mask) g = v_where_positive(v_load_first(mask + place, n, 0), g);
    s[v][a] = v_add(s[v][a], g);
    q[v][a] = v_fma(g, v_sub(v_load_first(x + place, n, 0), origin[v]), q[v][a]);
  });
  for (int v = 0; v < vectors; v++) {
    add_block_at(sum + v * VW, sum_rest + v * VW, fold_accumulators(s[v]), n, is_first);
    add_block_at(product + v * VW, product_rest + v * VW, fold_accumulators(q[v]), n, is_first);
  }
}

/* sum[width] and product[width] of one shard: dy, x, mask [positions, channels], positions > 0 */
static void gradient_of_shard(float *sum, float *product, const float *dy, const float *x, const float *mask,
                              const float *mean, const float *inverse, int64_t positions, int64_t channels, int width) {
  float sum_rest[CHANNEL_BLOCK], product_rest[CHANNEL_BLOCK];
  for (int64_t from = 0; from < positions; from += LONG_BLOCK) {
    const int64_t place = from * channels;
    const int count = long_block(positions - from);
#define STEP(i, vectors, n)                                                                                      \
  gradient_group(sum + (i), sum_rest + (i), product + (i), product_rest + (i), dy + place + (i), x + place + (i), \
                 mask ? mask + place + (i) : mask, mean + (i), channels, vectors, n, count, from == 0)
    FOR_COLUMN_GROUPS(width, STEP);
#undef STEP
  }
  FOR_VECTORS(0, width, {
    v_store_first(sum + i, v_add(v_load_first(sum + i, n, 0), v_load_first(sum_rest + i, n, 0)), n);
    const vf total = v_add(v_load_first(product + i, n, 0), v_load_first(product_rest + i, n, 0));
    v_store_first(product + i, v_mul(total, v_load_first(inverse + i, n, 0)), n);
  });
}

/* leaves[2 channels] of every own shard: sum dy', sum dy' xhat */
static void kernel_normalizeSums(const Context *c, const normalizeSums_args *a) {
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset);
  for (int s = 0, first, end; s < c->table->shards; s++) {
    channels_of_lane(c, s, a->channels, &first, &end);
    const int64_t positions = (int64_t)(rows[s + 1] - rows[s]) * a->positions;
    const int64_t start = (int64_t)rows[s] * a->positions * a->channels;
    const int64_t statistics = a->perShard ? (int64_t)s * a->channels : 0;
    for (int channel = first; channel < end; channel += CHANNEL_BLOCK) {
      const int width = end - channel < CHANNEL_BLOCK ? end - channel : CHANNEL_BLOCK;
      float *sum = at(c, a->leaves) + (int64_t)(c->table->firstShard + s) * 2 * a->channels + channel;
      float *product = sum + a->channels;
      if (positions == 0) zero(sum, width), zero(product, width);
      else
        gradient_of_shard(sum, product, at(c, a->dy) + start + channel, at(c, a->x) + start + channel,
                          a->mask < 0 ? (const float *)0 : at(c, a->mask) + start + channel,
                          at(c, a->mean) + statistics + channel, at(c, a->inverse) + statistics + channel, positions,
                          a->channels, width);
    }
  }
}
#endif
