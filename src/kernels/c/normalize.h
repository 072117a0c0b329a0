/* Batch normalisation applied, forward and backward: elementwise passes with coefficients per channel.
   Statistics are in moments.h. */
#ifndef LOCKSTEP_NORMALIZE_H
#define LOCKSTEP_NORMALIZE_H
#include "elementwise.h"

/* Channels whose coefficients lie on the stack at once. */
enum { CHANNEL_BLOCK = 512 };

/* How [positions, channels] are walked: blocks of `width` floats, `step` apart. Few channels are repeated until a block
   is wide, so that vectors are full whatever the number of channels. */
typedef struct {
  int width, step;
} Blocks;

INLINE Blocks blocks_of(int channels, int block_channels) {
  int unit = channels;
  while (unit % 16 && unit <= CHANNEL_BLOCK) unit += channels;
  if (unit > CHANNEL_BLOCK) return (Blocks){block_channels, channels};
  return (Blocks){CHANNEL_BLOCK / unit * unit, CHANNEL_BLOCK / unit * unit};
}

/* Repeats the first `period` coefficients over the block. */
INLINE void repeat(float *coefficients, int period, int width) {
  for (int i = period; i < width; i++) coefficients[i] = coefficients[i - period];
}

/* The rows of a lane with one set of statistics: all of them, or (perShard) own shard by own shard.
   Returns the index of the statistics, or -1 at the end. */
typedef struct {
  int index, from, to;
} RowRun;

INLINE int next_run(const Context *c, int per_shard, RowRun *run) {
  int lane_from = lane_rows_from(c), lane_to = lane_rows_to(c);
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset);
  int runs = per_shard ? c->table->shards : 1;
  while (++run->index < runs) {
    int from = per_shard ? rows[run->index] : lane_from, to = per_shard ? rows[run->index + 1] : lane_to;
    run->from = from > lane_from ? from : lane_from;
    run->to = to < lane_to ? to : lane_to;
    if (run->from < run->to) return 1;
  }
  return 0;
}

/* y = activation(fma(x, scale, shift)) of rows of `positions` x `channels` */
static void kernel_normalizeForward(const Context *c, const normalizeForward_args *a) {
  float scale[CHANNEL_BLOCK], shift[CHANNEL_BLOCK];
  float *y = at(c, a->y);
  const float *x = at(c, a->x), *gamma = at(c, a->gamma), *beta = at(c, a->beta);
  for (RowRun run = {-1, 0, 0}; next_run(c, a->perShard, &run);) {
    const float *mean = at(c, a->mean) + (int64_t)run.index * a->channels;
    const float *inverse = at(c, a->inverse) + (int64_t)run.index * a->channels;
    const int64_t row = (int64_t)a->positions * a->channels, end = run.to * row;
    for (int first = 0; first < a->channels; first += CHANNEL_BLOCK) {
      const int count = a->channels - first < CHANNEL_BLOCK ? a->channels - first : CHANNEL_BLOCK;
      const Blocks blocks = blocks_of(a->channels, count);
      FOR_VECTORS(0, count, {
        vf s = v_mul(v_load_first(gamma + first + i, n, 0), v_load_first(inverse + first + i, n, 0));
        vf t = v_fma(v_negate(v_load_first(mean + first + i, n, 0)), s, v_load_first(beta + first + i, n, 0));
        v_store_first(scale + i, s, n);
        v_store_first(shift + i, t, n);
      });
      repeat(scale, count, blocks.width);
      repeat(shift, count, blocks.width);
      for (int64_t base = run.from * row + first; base < end; base += blocks.step) {
        const int64_t width = end - base < blocks.width ? end - base : blocks.width;
#define NORMALIZE(activation)                                                                             \
  FOR_VECTORS(0, width, {                                                                                 \
    vf value = v_fma(v_load_first(x + base + i, n, 0), v_load_first(scale + i, n, 0), v_load_first(shift + i, n, 0)); \
    v_store_first(y + base + i, activation(value), n);                                                    \
  })
        if (a->activation) NORMALIZE(v_relu);
        else NORMALIZE();
#undef NORMALIZE
      }
    }
  }
}

/* dx = gamma inverse (dy' - sum dy' / count - xhat sum dy' xhat / count), as fma(dy', a, fma(x - mean, b, d)) */
static void kernel_normalizeBackward(const Context *c, const normalizeBackward_args *a) {
  float slope[CHANNEL_BLOCK], center[CHANNEL_BLOCK], tilt[CHANNEL_BLOCK], offset[CHANNEL_BLOCK];
  float *dx = at(c, a->dx);
  const float *dy = at(c, a->dy), *x = at(c, a->x), *mask = at(c, a->mask), *gamma = at(c, a->gamma);
  for (RowRun run = {-1, 0, 0}; next_run(c, a->perShard, &run);) {
    const int64_t shard = a->perShard ? c->table->firstShard + run.index : 0;
    const float *mean = at(c, a->mean) + (int64_t)run.index * a->channels;
    const float *inverse = at(c, a->inverse) + (int64_t)run.index * a->channels;
    const float *sums = at(c, a->sums) + shard * 2 * a->channels;
    const vf samples = v_set1(at(c, a->record)[shard * (1 + 2 * (int64_t)a->channels)]);
    const int64_t row = (int64_t)a->positions * a->channels, end = run.to * row;
    for (int first = 0; first < a->channels; first += CHANNEL_BLOCK) {
      const int count = a->channels - first < CHANNEL_BLOCK ? a->channels - first : CHANNEL_BLOCK;
      const Blocks blocks = blocks_of(a->channels, count);
      FOR_VECTORS(0, count, {
        vf spread = v_load_first(inverse + first + i, n, 0);
        vf s = v_mul(v_load_first(gamma + first + i, n, 0), spread);
        vf mean_dy = v_div(v_load_first(sums + first + i, n, 0), samples);
        vf mean_dy_xhat = v_div(v_load_first(sums + a->channels + first + i, n, 0), samples);
        v_store_first(slope + i, s, n);
        v_store_first(center + i, v_load_first(mean + first + i, n, 0), n);
        v_store_first(tilt + i, v_negate(v_mul(s, v_mul(spread, mean_dy_xhat))), n);
        v_store_first(offset + i, v_negate(v_mul(s, mean_dy)), n);
      });
      repeat(slope, count, blocks.width);
      repeat(center, count, blocks.width);
      repeat(tilt, count, blocks.width);
      repeat(offset, count, blocks.width);
      for (int64_t base = run.from * row + first; base < end; base += blocks.step) {
        const int64_t width = end - base < blocks.width ? end - base : blocks.width;
#define NORMALIZE_BACK(masked)                                                                    \
  FOR_VECTORS(0, width, {                                                                         \
    vf g = v_load_first(dy + base + i, n, 0);                                                     \
    vf off_center = v_sub(v_load_first(x + base + i, n, 0), v_load_first(center + i, n, 0));      \
    vf rest = v_fma(off_center, v_load_first(tilt + i, n, 0), v_load_first(offset + i, n, 0));    \
    v_store_first(dx + base + i, v_fma(masked, v_load_first(slope + i, n, 0), rest), n);          \
  })
        if (mask) NORMALIZE_BACK(v_where_positive(v_load_first(mask + base + i, n, 0), g));
        else NORMALIZE_BACK(g);
#undef NORMALIZE_BACK
      }
    }
  }
}
#endif
