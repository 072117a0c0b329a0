/* Statistics of batch normalisation: moments of every shard, their merge in the tree (Chan, Golub, LeVeque 1979), and
   the sums that its gradient needs. A moments record is [count, mean[channels], m2[channels]]. */
#ifndef LOCKSTEP_MOMENTS_H
#define LOCKSTEP_MOMENTS_H
#include "normalize.h"
#include "reductions.h"

/* Positions summed before the next channels have their turn, so that accumulators and data stay in the cache. */
enum { POSITION_BLOCK = 64 };

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

/* A walk over [positions, first channel .. end-1], positions ascending: step(channel, vectors, n, from, to) for blocks. */
#define FOR_CHANNEL_GROUPS(positions, first, end, step)                                                 \
  for (int64_t from_ = 0; from_ < (positions); from_ += POSITION_BLOCK) {                               \
    const int64_t to_ = from_ + POSITION_BLOCK < (positions) ? from_ + POSITION_BLOCK : (positions);    \
    int channel_ = (first);                                                                             \
    for (; channel_ + 4 * VW <= (end); channel_ += 4 * VW) step(channel_, 4, VW, from_, to_);           \
    for (; channel_ + VW <= (end); channel_ += VW) step(channel_, 1, VW, from_, to_);                   \
    if (channel_ < (end)) step(channel_, 1, (end) - channel_, from_, to_);                              \
  }

/* sum[] += x - shift, square[] += (x - shift)^2 for `vectors` vectors of channels over positions from .. to-1 */
INLINE void moments_group(float *sum, float *square, const float *x, const float *shift, int channels, int vectors, int n,
                          int64_t from, int64_t to) {
  vf s[4], q[4], origin[4];
  for (int v = 0; v < vectors; v++) {
    s[v] = v_load_first(sum + v * VW, n, 0);
    q[v] = v_load_first(square + v * VW, n, 0);
    origin[v] = v_load_first(shift + v * VW, n, 0);
  }
  for (int64_t p = from; p < to; p++)
    for (int v = 0; v < vectors; v++) {
      vf d = v_sub(v_load_first(x + p * channels + v * VW, n, 0), origin[v]);
      s[v] = v_add(s[v], d);
      q[v] = v_fma(d, d, q[v]);
    }
  for (int v = 0; v < vectors; v++) {
    v_store_first(sum + v * VW, s[v], n);
    v_store_first(square + v * VW, q[v], n);
  }
}

/* Channels first .. end-1 of the record of one shard: shifted sums around its first position (zeros where it has none). */
static void moments_of_shard(float *record, const float *x, int64_t positions, int channels, int first, int end) {
  float *mean = record + 1, *m2 = record + 1 + channels;
  if (first == 0) record[0] = (float)positions;
  zero(mean + first, end - first);
  zero(m2 + first, end - first);
  if (positions == 0) return;
#define STEP(channel, vectors, n, from, to) \
  moments_group(mean + (channel), m2 + (channel), x + (channel), x + (channel), channels, vectors, n, from, to)
  FOR_CHANNEL_GROUPS(positions, first, end, STEP)
#undef STEP
  const vf count = v_set1((float)positions);
  FOR_VECTORS(first, end, {
    vf sum = v_load_first(mean + i, n, 0);
    vf average = v_div(sum, count);
    v_store_first(m2 + i, v_max(v_zero(), v_fma(v_negate(sum), average, v_load_first(m2 + i, n, 0))), n);
    v_store_first(mean + i, v_add(average, v_load_first(x + i, n, 0)), n);
  });
}

static void kernel_momentsLeaves(const Context *c, const momentsLeaves_args *a) {
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset);
  const int64_t row = (int64_t)a->positions * a->channels;
  for (int s = 0, first, end; s < c->table->shards; s++) {
    channels_of_lane(c, s, a->channels, &first, &end);
    if (first < end)
      moments_of_shard(at(c, a->leaves) + (int64_t)(c->table->firstShard + s) * (1 + 2 * a->channels),
                       at(c, a->x) + rows[s] * row, (int64_t)(rows[s + 1] - rows[s]) * a->positions, a->channels, first, end);
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
      vf variance = v_div(v_load_first(record + 1 + a->channels + i, n, 0), count);
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

/* sum[] += dy', product[] += dy' (x - mean), as moments_group */
INLINE void gradient_group(float *sum, float *product, const float *dy, const float *x, const float *mask, const float *mean,
                           int channels, int vectors, int n, int64_t from, int64_t to) {
  vf s[4], q[4], origin[4];
  for (int v = 0; v < vectors; v++) {
    s[v] = v_load_first(sum + v * VW, n, 0);
    q[v] = v_load_first(product + v * VW, n, 0);
    origin[v] = v_load_first(mean + v * VW, n, 0);
  }
  for (int64_t p = from; p < to; p++)
    for (int v = 0; v < vectors; v++) {
      const int64_t place = p * channels + v * VW;
      vf g = v_load_first(dy + place, n, 0);
      if (mask) g = v_where_positive(v_load_first(mask + place, n, 0), g);
      s[v] = v_add(s[v], g);
      q[v] = v_fma(g, v_sub(v_load_first(x + place, n, 0), origin[v]), q[v]);
    }
  for (int v = 0; v < vectors; v++) {
    v_store_first(sum + v * VW, s[v], n);
    v_store_first(product + v * VW, q[v], n);
  }
}

/* leaves[2 channels] of every own shard: sum dy', sum dy' xhat */
static void kernel_normalizeSums(const Context *c, const normalizeSums_args *a) {
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset);
  const int64_t row = (int64_t)a->positions * a->channels;
  for (int s = 0, first, end; s < c->table->shards; s++) {
    channels_of_lane(c, s, a->channels, &first, &end);
    if (first >= end) continue;
    float *sum = at(c, a->leaves) + (int64_t)(c->table->firstShard + s) * 2 * a->channels, *product = sum + a->channels;
    const float *dy = at(c, a->dy) + rows[s] * row, *x = at(c, a->x) + rows[s] * row;
    const float *mask = a->mask < 0 ? (const float *)0 : at(c, a->mask) + rows[s] * row;
    const float *mean = at(c, a->mean) + (a->perShard ? (int64_t)s * a->channels : 0);
    const float *inverse = at(c, a->inverse) + (a->perShard ? (int64_t)s * a->channels : 0);
    const int64_t positions = (int64_t)(rows[s + 1] - rows[s]) * a->positions;
    zero(sum + first, end - first);
    zero(product + first, end - first);
#define STEP(channel, vectors, n, from, to)                                                                        \
  gradient_group(sum + (channel), product + (channel), dy + (channel), x + (channel), mask ? mask + (channel) : mask, \
                 mean + (channel), a->channels, vectors, n, from, to)
    FOR_CHANNEL_GROUPS(positions, first, end, STEP)
#undef STEP
    FOR_VECTORS(first, end, {
      v_store_first(product + i, v_mul(v_load_first(product + i, n, 0), v_load_first(inverse + i, n, 0)), n);
    });
  }
}
#endif
