/* Maximum and average pooling, channels last, vectorised over channels; backward works image by image. */
#ifndef LOCKSTEP_POOLING_H
#define LOCKSTEP_POOLING_H
#include "long_sums.h"

typedef struct {
  int height, width, channels, kernel_height, kernel_width, stride_height, stride_width, pad_top, pad_left, out_height, out_width;
} PoolWindow;
#define POOL_WINDOW(a)                                                                                        \
  {(a)->height, (a)->width, (a)->channels, (a)->kernelHeight, (a)->kernelWidth, (a)->strideHeight,            \
   (a)->strideWidth, (a)->padTop, (a)->padLeft, (a)->outHeight, (a)->outWidth}

/* The taps of one output pixel that lie inside of the image: window rows y0 .. y1-1 and columns x0 .. x1-1;
   `corner` is the pixel of tap (0, 0), which may itself lie outside. */
typedef struct {
  int y0, y1, x0, x1;
  int64_t corner;
} Taps;

INLINE Taps taps_of(const PoolWindow *w, int out_y, int out_x) {
  int top = out_y * w->stride_height - w->pad_top, left = out_x * w->stride_width - w->pad_left;
  Taps t = {top < 0 ? -top : 0, w->kernel_height, left < 0 ? -left : 0, w->kernel_width, (int64_t)top * w->width + left};
  if (top + t.y1 > w->height) t.y1 = w->height - top;
  if (left + t.x1 > w->width) t.x1 = w->width - left;
  return t;
}

/* The body for every tap: `pixel` in the image, `index` in the window; rows first. */
#define FOR_TAPS(w, t, ...)                                             \
  for (int ty = (t).y0; ty < (t).y1; ty++)                              \
    for (int tx = (t).x0; tx < (t).x1; tx++) {                          \
      const int64_t pixel = (t).corner + (int64_t)ty * (w)->width + tx; \
      const int index = ty * (w)->kernel_width + tx;                    \
      __VA_ARGS__                                                       \
    }

INLINE int covers_2x2(const PoolWindow *w, const Taps *t) {
  return w->kernel_height == 2 && w->kernel_width == 2 && t->y0 == 0 && t->y1 == 2 && t->x0 == 0 && t->x1 == 2;
}

/* y[channels], choice[channels] of one window of the image x */
INLINE void max_pool_window(const PoolWindow *w, const Taps *t, float *y, float *choice, const float *x) {
  FOR_VECTORS(0, w->channels, {
    vf best = v_zero();
    vf chosen = v_from_bits(vi_set1(-1)); /* a window without a tap */
    int first = 1;
    FOR_TAPS(w, *t, {
      vf value = v_load_first(x + pixel * w->channels + i, n, 0), here = v_from_bits(vi_set1(index));
      chosen = first ? here : v_if_wins(value, best, here, chosen);
      best = first ? value : v_if_wins(value, best, value, best);
      first = 0;
    })
    v_store_first(y + i, best, n);
    v_store_first(choice + i, chosen, n);
  });
}

/* The same for a whole 2 x 2 window; x at its corner, `down` floats to the next row. */
INLINE void max_pool_2x2(int channels, int64_t down, float *y, float *choice, const float *x) {
  const vf one = v_from_bits(vi_set1(1)), two = v_from_bits(vi_set1(2)), three = v_from_bits(vi_set1(3));
  FOR_VECTORS(0, channels, {
    vf a = v_load_first(x + i, n, 0), b = v_load_first(x + channels + i, n, 0);
    vf d = v_load_first(x + down + i, n, 0), e = v_load_first(x + down + channels + i, n, 0);
    vf chosen = v_if_wins(b, a, one, v_from_bits(vi_set1(0)));
    vf best = v_if_wins(b, a, b, a);
    chosen = v_if_wins(d, best, two, chosen);
    best = v_if_wins(d, best, d, best);
    chosen = v_if_wins(e, best, three, chosen);
    v_store_first(y + i, v_if_wins(e, best, e, best), n);
    v_store_first(choice + i, chosen, n);
  });
}

/* y[rows, outHeight, outWidth, channels] */
static void kernel_maxPoolForward(const Context *c, const maxPoolForward_args *a) {
  const PoolWindow w = POOL_WINDOW(a);
  const int64_t in_size = (int64_t)w.height * w.width * w.channels;
  const int64_t out_size = (int64_t)w.out_height * w.out_width * w.channels;
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++) {
    const float *x = at(c, a->x) + r * in_size;
    float *y = at(c, a->y) + r * out_size, *choice = at(c, a->choice) + r * out_size;
    for (int out_y = 0; out_y < w.out_height; out_y++)
      for (int out_x = 0; out_x < w.out_width; out_x++, y += w.channels, choice += w.channels) {
        const Taps t = taps_of(&w, out_y, out_x);
        if (covers_2x2(&w, &t)) max_pool_2x2(w.channels, (int64_t)w.width * w.channels, y, choice, x + t.corner * w.channels);
        else max_pool_window(&w, &t, y, choice, x);
      }
  }
}

/* Whether windows do not overlap, so that a tap is stored rather than added. */
INLINE int is_disjoint(const PoolWindow *w) {
  return w->stride_height >= w->kernel_height && w->stride_width >= w->kernel_width;
}
/* Whether every pixel lies in a window, where windows are disjoint. */
INLINE int covers_image(const PoolWindow *w) {
  return w->stride_height == w->kernel_height && w->stride_width == w->kernel_width &&
         w->out_height * w->stride_height - w->pad_top >= w->height &&
         w->out_width * w->stride_width - w->pad_left >= w->width;
}

INLINE vf where_chosen(vf choice, int index, vf dy) {
  return v_from_bits(vi_equal(v_bits(choice), vi_set1(index)) & v_bits(dy));
}

/* Scatters dy[channels] of one window into the image dx. */
INLINE void max_pool_back_window(const PoolWindow *w, const Taps *t, int disjoint, float *dx, const float *dy,
                                 const float *choice, const float *y) {
  FOR_VECTORS(0, w->channels, {
    vf g = v_load_first(dy + i, n, 0), chosen = v_load_first(choice + i, n, 0);
    if (y) g = v_where_positive(v_load_first(y + i, n, 0), g);
    FOR_TAPS(w, *t, {
      float *to = dx + pixel * w->channels + i;
      vf part = where_chosen(chosen, index, g);
      v_store_first(to, disjoint ? part : v_add(v_load_first(to, n, 0), part), n);
    })
  });
}

INLINE void max_pool_back_2x2(int channels, int64_t down, float *dx, const float *dy, const float *choice, const float *y) {
  FOR_VECTORS(0, channels, {
    vf g = v_load_first(dy + i, n, 0), chosen = v_load_first(choice + i, n, 0);
    if (y) g = v_where_positive(v_load_first(y + i, n, 0), g);
    v_store_first(dx + i, where_chosen(chosen, 0, g), n);
    v_store_first(dx + channels + i, where_chosen(chosen, 1, g), n);
    v_store_first(dx + down + i, where_chosen(chosen, 2, g), n);
    v_store_first(dx + down + channels + i, where_chosen(chosen, 3, g), n);
  });
}

/* dx[rows, height, width, channels]; windows in ascending order; relu: dy counts where y > 0 */
static void kernel_maxPoolBackward(const Context *c, const maxPoolBackward_args *a) {
  const PoolWindow w = POOL_WINDOW(a);
  const int64_t in_size = (int64_t)w.height * w.width * w.channels;
  const int64_t out_size = (int64_t)w.out_height * w.out_width * w.channels;
  const int64_t down = (int64_t)w.width * w.channels;
  const int disjoint = is_disjoint(&w);
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++) {
    float *dx = at(c, a->dx) + r * in_size;
    const float *dy = at(c, a->dy) + r * out_size, *choice = at(c, a->choice) + r * out_size;
    const float *y = a->relu ? at(c, a->y) + r * out_size : (const float *)0;
    if (!disjoint || !covers_image(&w)) zero(dx, in_size);
    for (int out_y = 0; out_y < w.out_height; out_y++)
      for (int out_x = 0; out_x < w.out_width; out_x++) {
        const Taps t = taps_of(&w, out_y, out_x);
        if (disjoint && covers_2x2(&w, &t)) max_pool_back_2x2(w.channels, down, dx + t.corner * w.channels, dy, choice, y);
        else max_pool_back_window(&w, &t, disjoint, dx, dy, choice, y);
        dy += w.channels, choice += w.channels, y += y ? w.channels : 0;
      }
  }
}

INLINE float taps_count(const Taps *t) { return (float)((t->y1 - t->y0) * (t->x1 - t->x0)); }

/* Sum over the taps inside of the image, of n channels from x on, as a long sum. `x`: the first tap. */
INLINE vf sum_of_taps(const PoolWindow *w, const Taps *t, const float *x, int n) {
  const int wide = t->x1 - t->x0, count = (t->y1 - t->y0) * wide;
  const int64_t next_row = (int64_t)(w->width - wide) * w->channels;
  vf sum = v_zero(), rest = v_zero();
  for (int from = 0, column = 0; from < count; from += LONG_BLOCK) {
    vf part[ACCUMULATORS] = {v_zero(), v_zero(), v_zero(), v_zero()};
    FOR_TERMS(long_block(count - from), {
      part[a] = v_add(part[a], v_load_first(x, n, 0));
      x += w->channels;
      if (++column == wide) column = 0, x += next_row;
    });
    add_block(&sum, &rest, fold_accumulators(part), from == 0);
  }
  return v_add(sum, rest);
}

/* y = sum over the window divided by the taps inside of the image */
static void kernel_averagePoolForward(const Context *c, const averagePoolForward_args *a) {
  const PoolWindow w = POOL_WINDOW(a);
  const int64_t in_size = (int64_t)w.height * w.width * w.channels;
  const int64_t out_size = (int64_t)w.out_height * w.out_width * w.channels;
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++) {
    const float *x = at(c, a->x) + r * in_size;
    float *y = at(c, a->y) + r * out_size;
    for (int out_y = 0; out_y < w.out_height; out_y++)
      for (int out_x = 0; out_x < w.out_width; out_x++, y += w.channels) {
        const Taps t = taps_of(&w, out_y, out_x);
        const vf count = v_set1(taps_count(&t));
        const float *first = x + (t.corner + (int64_t)t.y0 * w.width + t.x0) * w.channels;
        FOR_VECTORS(0, w.channels, v_store_first(y + i, v_div(sum_of_taps(&w, &t, first + i, n), count), n););
      }
  }
}

/* dx = sum over the windows of a pixel, ascending, of dy / taps */
static void kernel_averagePoolBackward(const Context *c, const averagePoolBackward_args *a) {
  const PoolWindow w = POOL_WINDOW(a);
  const int64_t in_size = (int64_t)w.height * w.width * w.channels;
  const int64_t out_size = (int64_t)w.out_height * w.out_width * w.channels;
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++) {
    float *dx = at(c, a->dx) + r * in_size;
    const float *dy = at(c, a->dy) + r * out_size;
    zero(dx, in_size);
    for (int out_y = 0; out_y < w.out_height; out_y++)
      for (int out_x = 0; out_x < w.out_width; out_x++, dy += w.channels) {
        const Taps t = taps_of(&w, out_y, out_x);
        const vf count = v_set1(taps_count(&t));
        FOR_VECTORS(0, w.channels, {
          vf part = v_div(v_load_first(dy + i, n, 0), count);
          FOR_TAPS(&w, t, {
            (void)index;
            float *to = dx + pixel * w.channels + i;
            v_store_first(to, v_add(v_load_first(to, n, 0), part), n);
          })
        });
      }
  }
}
#endif
