/* Convolution, forward and input gradient: one implicit GEMM over the pixels of a row. Both are the same pass
   over a source image, told apart by where a pixel's taps lie:

     out[j][i][n] = finish(sum over t, u, channel of source[j * row_step + row_origin + t * row_tap]
                                                          [i * column_step + column_origin + u * column_tap][channel]
                                                    * weight(t, u, channel, n)),   t < taps_high, u < taps_wide

   Forward steps by the strides and its taps ascend; the input gradient steps by 1, its taps descend, and each
   of the strideHeight x strideWidth phases of dx is a pass of its own with every stride-th tap. Rows outside
   of the source are left out; columns outside are zeros, in a copy of the band of rows at work. */
#ifndef LOCKSTEP_CONV_DATA_H
#define LOCKSTEP_CONV_DATA_H
#include "gemm_pack.h"

#define BAND_FLOATS (48 * 1024) /* of a band's copy, unless a single row of output needs more */

typedef struct {
  const float *source; /* [rows, height, width, channels] */
  int height, width, channels;
  int high, wide; /* of out */
  int taps_high, taps_wide;
  int row_step, row_origin, row_tap, column_step, column_origin, column_tap;
  const float *w; /* [tap][channels or columns][columns or channels] */
  intptr_t w_high, w_wide; /* floats from tap to tap */
  int transposed;          /* 1: a tap of w is [columns, channels] */
  float *out;              /* pixel (row r, 0, 0) at out + r * out_sample */
  intptr_t out_sample, out_row, out_pixel;
  int columns; /* of out */
  const float *bias, *mask;
  int relu;
} Pass;

/* The part of k in one packed block: all of it, or a stretch of one tap's channels. */
typedef struct {
  int t_from, t_to, u_from, u_to, channel_from, channel_to;
  int first, last;
} Segment;

/* Where the source's pixels are read from: itself, or a copy with zeros left and right. */
typedef struct {
  const float *origin; /* of source row `first_row`, column `first_column` */
  intptr_t pitch;
  int first_row, first_column;
} Band;

INLINE int pass_span(const Pass *p) { return (p->wide - 1) * p->column_step + p->taps_wide; }
INLINE int pass_first_column(const Pass *p) {
  return p->column_tap > 0 ? p->column_origin : p->column_origin - (p->taps_wide - 1);
}
INLINE int needs_copy(const Pass *p) {
  if (p->taps_high == 0 || p->taps_wide == 0) return 0;
  return pass_first_column(p) < 0 || pass_first_column(p) + pass_span(p) > p->width;
}

/* Source rows that the output rows from .. to-1 read, clipped to the image: *low .. *high-1. */
static void source_rows(const Pass *p, int from, int to, int *low, int *high) {
  const int reach = (p->taps_high - 1) * p->row_tap;
  const int a = from * p->row_step + p->row_origin, b = (to - 1) * p->row_step + p->row_origin;
  *low = max_int(0, a + min_int(0, reach));
  *high = min_int(p->height, b + max_int(0, reach) + 1);
}

static Band make_band(const Pass *p, const float *image, int from, int to, float *copy) {
  Band band = {image, (intptr_t)p->width * p->channels, 0, 0};
  if (!needs_copy(p)) return band;
  int low, high;
  source_rows(p, from, to, &low, &high);
  band = (Band){copy, (intptr_t)pass_span(p) * p->channels, low, pass_first_column(p)};
  for (int y = low; y < high; y++) {
    copy_padded_row(copy + (y - low) * band.pitch, image + (intptr_t)y * p->width * p->channels, p->width, p->channels,
                    band.first_column, pass_span(p));
  }
  return band;
}

/* Output rows of one band. */
static int band_rows(const Pass *p, int space) {
  if (!needs_copy(p)) return p->high;
  const int row = pass_span(p) * p->channels;
  return min_int(p->high, max_int(1, (space / row - p->taps_high) / p->row_step + 1));
}

/* Floats of a band's copy. */
static int64_t band_space(const Pass *p) {
  if (!needs_copy(p)) return 0;
  const int64_t rows = (int64_t)(band_rows(p, BAND_FLOATS) - 1) * p->row_step + p->taps_high;
  return (min_int((int)rows, p->height) * (int64_t)pass_span(p) * p->channels + 31) / 16 * 16;
}

/* One output row: all panels from .. to-1 of the columns by all pixels. */
static void pass_row(const Pass *p, const Band *band, const Segment *s, intptr_t out, int j, int from, int to,
                     const float *packed) {
  const int tiles = ceil_div(p->wide, TILE_ROWS), depth = s->channel_to - s->channel_from;
  /* taps whose row lies in the image: 0 <= row + t * row_tap < height */
  const int row = j * p->row_step + p->row_origin;
  const int t_from = max_int(s->t_from, p->row_tap > 0 ? -row : row - p->height + 1);
  const int t_to = min_int(s->t_to, p->row_tap > 0 ? p->height - row : row + 1);
  const int u_count = s->u_to - s->u_from, merged = p->column_tap > 0 && u_count == p->taps_wide;
  const intptr_t k_skip = (intptr_t)(t_from - s->t_from) * u_count * depth;
  for (int n = from; n < to; n += TILE_COLUMNS) {
    const int width = min_int(TILE_COLUMNS, to - n);
    const intptr_t pitch = panel_pitch(width);
    const intptr_t block = (intptr_t)(n - from) * (s->t_to - s->t_from) * u_count * depth;
    Tile tile = {
        .lda = (intptr_t)p->column_step * p->channels, .a1 = p->row_tap * band->pitch,
        .a2 = (intptr_t)p->column_tap * p->channels, .b = packed + block + k_skip * pitch, .ldb = pitch,
        .b1 = u_count * depth * pitch, .b2 = depth * pitch, .n1 = max_int(0, t_to - t_from), .n2 = u_count,
        .length = depth, .ldc = p->out_pixel, .columns = width, .resume = !s->first, .relu = s->last && p->relu,
        .bias = s->last && p->bias ? p->bias + n : 0,
    };
    if (merged) tile.n2 = 1, tile.length *= u_count;
    const float *a = band->origin + (row + t_from * p->row_tap - band->first_row) * band->pitch +
                     (intptr_t)(p->column_origin + s->u_from * p->column_tap - band->first_column) * p->channels +
                     s->channel_from;
    for (int i = 0; i < tiles; i++) {
      const int pixel = piece(i, tiles, p->wide);
      const intptr_t at_pixel = out + pixel * p->out_pixel + n;
      tile.a = a + pixel * tile.lda;
      tile.c = p->out + at_pixel;
      tile.mask = s->last && p->mask ? p->mask + at_pixel : 0;
      run_tile(A_BY_ROWS, piece(i + 1, tiles, p->wide) - pixel, &tile);
    }
  }
}

/* Packs the weights of a segment for the columns from .. to-1. */
static void pack_segment(const Pass *p, const Segment *s, int from, int to, float *packed) {
  const int depth = s->channel_to - s->channel_from;
  const intptr_t per_column = (intptr_t)(s->t_to - s->t_from) * (s->u_to - s->u_from) * depth;
  for (int n = from; n < to; n += TILE_COLUMNS) {
    float *panel = packed + (n - from) * per_column;
    const int width = min_int(TILE_COLUMNS, to - n);
    for (int t = s->t_from; t < s->t_to; t++) {
      for (int u = s->u_from; u < s->u_to; u++, panel += (intptr_t)depth * panel_pitch(width)) {
        const float *tap = p->w + t * p->w_high + u * p->w_wide;
        if (p->transposed) {
          pack_panel_transposed(panel, tap + (intptr_t)n * p->channels + s->channel_from, p->channels, depth, width);
        } else {
          pack_panel(panel, tap + (intptr_t)s->channel_from * p->columns + n, p->columns, depth, width);
        }
      }
    }
  }
}

static void pass_segment(const Context *c, const Pass *p, const Segment *s, int from, int to, float *packed,
                         float *band_copy) {
  pack_segment(p, s, from, to, packed);
  const int step = band_rows(p, BAND_FLOATS);
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++) {
    const float *image = p->source + (intptr_t)r * p->height * p->width * p->channels;
    for (int first = 0; first < p->high; first += step) {
      const int end = min_int(p->high, first + step);
      const Band band = make_band(p, image, first, end, band_copy);
      for (int j = first; j < end; j++) {
        pass_row(p, &band, s, r * p->out_sample + j * p->out_row, j, from, to, packed);
      }
    }
  }
}

/* A single column of output reads the same columns of the source everywhere: taps outside are left out, and no copy is
   needed, however deep a window is. */
static void trim_columns(Pass *p) {
  const int from = p->column_tap > 0 ? -p->column_origin : p->column_origin - p->width + 1;
  const int to = p->column_tap > 0 ? p->width - p->column_origin : p->column_origin + 1;
  const int first = min_int(max_int(0, from), p->taps_wide);
  p->taps_wide = max_int(0, min_int(p->taps_wide, to) - first);
  p->column_origin += first * p->column_tap;
  p->w += first * p->w_wide;
}

/* A pass over the lane's rows: as many columns at once as the scratch has room for; where not even one panel
   fits with all of its k, tap by tap, the sums resumed from the output. */
static void run_pass(const Context *c, Pass *p) {
  if (p->taps_high * p->taps_wide == 1 && p->row_step == 1 && p->column_step == 1 && p->row_origin == 0 &&
      p->column_origin == 0 && p->height == p->high && p->width == p->wide &&
      p->out_row == p->wide * p->out_pixel) {
    /* 1 x 1: the image is one long row */
    p->wide = p->width = p->high * p->wide;
    p->high = p->height = 1;
  }
  if (p->high <= 0 || p->wide <= 0 || lane_rows_from(c) >= lane_rows_to(c)) return;
  if (p->wide == 1) trim_columns(p);
  const int64_t band = band_space(p), space = c->scratch_size - band;
  if (band > c->scratch_size / 2 && p->wide > 1) {
    /* not even one row fits: the left half of the columns, then the right one */
    const int half = p->wide / 2;
    Pass left = *p, right = *p;
    left.wide = half;
    right.wide -= half;
    right.column_origin += half * p->column_step;
    right.out += half * p->out_pixel;
    if (right.mask) right.mask += half * p->out_pixel;
    run_pass(c, &left);
    run_pass(c, &right);
    return;
  }
  const int64_t depth = (int64_t)p->taps_high * p->taps_wide * p->channels;
  float *packed = c->scratch + band;
  const int64_t panels = space / (max_int(1, (int)depth) * (int64_t)TILE_COLUMNS);
  if (panels >= 1) {
    const int block = (int)(panels < 4096 ? panels : 4096) * TILE_COLUMNS;
    const Segment whole = {0, p->taps_high, 0, p->taps_wide, 0, p->channels, 1, 1};
    for (int n = 0; n < p->columns; n += block) {
      pass_segment(c, p, &whole, n, min_int(p->columns, n + block), packed, c->scratch);
    }
    return;
  }
  const int stretch = (int)(space / TILE_COLUMNS), stretches = ceil_div(p->channels, stretch);
  for (int n = 0; n < p->columns; n += TILE_COLUMNS) {
    for (int t = 0; t < p->taps_high; t++) {
      for (int u = 0; u < p->taps_wide; u++) {
        for (int i = 0; i < stretches; i++) {
          const int last = t == p->taps_high - 1 && u == p->taps_wide - 1 && i == stretches - 1;
          const int from = piece(i, stretches, p->channels), to = piece(i + 1, stretches, p->channels);
          const Segment part = {t, t + 1, u, u + 1, from, to, t + u + i == 0, last};
          pass_segment(c, p, &part, n, min_int(p->columns, n + TILE_COLUMNS), packed, c->scratch);
        }
      }
    }
  }
}

/* y[rows, outHeight, outWidth, filters] = activation(conv(x, w) + bias) */
static void kernel_convForward(const Context *c, const convForward_args *a) {
  const intptr_t tap = (intptr_t)a->channels * a->filters, row = (intptr_t)a->outWidth * a->filters;
  Pass p = {
      .source = at(c, a->x), .height = a->height, .width = a->width, .channels = a->channels, .high = a->outHeight,
      .wide = a->outWidth, .taps_high = a->kernelHeight, .taps_wide = a->kernelWidth, .row_step = a->strideHeight,
      .row_origin = -a->padTop, .row_tap = 1, .column_step = a->strideWidth, .column_origin = -a->padLeft,
      .column_tap = 1, .w = at(c, a->w), .w_high = a->kernelWidth * tap, .w_wide = tap, .out = at(c, a->y),
      .out_sample = a->outHeight * row, .out_row = row, .out_pixel = a->filters, .columns = a->filters,
      .bias = at(c, a->bias), .relu = a->activation,
  };
  run_pass(c, &p);
}

/* The taps of one phase of the input gradient along one axis: dx at phase + stride * j takes the taps first +
   stride * t, t < count, from dy at j + origin - t. */
typedef struct {
  int first, count, origin, length;
} Phase;

static Phase phase_of(int phase, int stride, int pad, int kernel, int length) {
  const int first = (phase + pad) % stride;
  return (Phase){
      .first = first, .count = first < kernel ? ceil_div(kernel - first, stride) : 0,
      .origin = (phase + pad - first) / stride, .length = phase < length ? ceil_div(length - phase, stride) : 0,
  };
}

/* dx[rows, height, width, channels] = transposed convolution of dy[rows, outHeight, outWidth, filters],
   masked */
static void kernel_convInputGradient(const Context *c, const convInputGradient_args *a) {
  const intptr_t tap = (intptr_t)a->channels * a->filters, row = (intptr_t)a->width * a->channels;
  for (int py = 0; py < a->strideHeight; py++) {
    for (int px = 0; px < a->strideWidth; px++) {
      const Phase y = phase_of(py, a->strideHeight, a->padTop, a->kernelHeight, a->height);
      const Phase x = phase_of(px, a->strideWidth, a->padLeft, a->kernelWidth, a->width);
      const intptr_t start = py * row + (intptr_t)px * a->channels;
      Pass p = {
          .source = at(c, a->dy), .height = a->outHeight, .width = a->outWidth, .channels = a->filters,
          .high = y.length, .wide = x.length, .taps_high = y.count, .taps_wide = x.count, .row_step = 1,
          .row_origin = y.origin, .row_tap = -1, .column_step = 1, .column_origin = x.origin, .column_tap = -1,
          .w = at(c, a->w) + (y.first * a->kernelWidth + x.first) * tap,
          .w_high = (intptr_t)a->strideHeight * a->kernelWidth * tap, .w_wide = a->strideWidth * tap, .transposed = 1,
          .out = at(c, a->dx) + start, .out_sample = a->height * row, .out_row = a->strideHeight * row,
          .out_pixel = (intptr_t)a->strideWidth * a->channels, .columns = a->channels,
          .mask = a->mask < 0 ? 0 : at(c, a->mask) + start,
      };
      run_pass(c, &p);
    }
  }
}
#endif
