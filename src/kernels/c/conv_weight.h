/* The weight gradient of a convolution: dw[kernelHeight, kernelWidth * channels, filters] = sum over pixels
   of x . dy, k = pixels of a shard ascending, the shards added in the tree. k is long and dw small, so the
   loops go the other way round: a block of dw stays in the cache as partial tiles, one level a node of the
   tree's stack, while blocks of pixels pass by. Rows of x outside of the image are left out; columns outside
   are zeros in a copy. */
#ifndef LOCKSTEP_CONV_WEIGHT_H
#define LOCKSTEP_CONV_WEIGHT_H
#include "gemm_pack.h"

#define STACK_LEVEL (TILE_ROWS * TILE_COLUMNS) /* floats of one partial tile */
#define WEIGHT_BLOCK (96 * 1024 / STACK_LEVEL) /* partial tiles of dw at work, at most */
#define WEIGHT_PANELS 4                        /* panels of filters at work, at most */
#define PIXEL_BLOCK (VW == 16 ? 256 : 128)     /* pixels at work */
#define PIXEL_COPY (48 * 1024)                 /* floats of x copied at once, unless a single row needs more */

/* The most entries that the tree's stack ever has. */
static int tree_levels(const int32_t *merges, int shards) {
  int depth = 0, most = 0;
  for (int s = 0; s < shards; s++) {
    most = max_int(most, ++depth);
    depth -= merges[s];
  }
  return most;
}

/* A lane's share and how it is blocked. Tiles of dw are numbered through kernel rows: tile / per_row is the
   kernel row. */
typedef struct {
  const convWeightGradient_args *a;
  const float *x, *dy;
  int positions;      /* images of one sample */
  int run;            /* kernelWidth * channels: rows of dw in one kernel row */
  int per_row;        /* tiles of one kernel row */
  int tile_from, tile_to, column_from, column_to; /* the block at work */
  int padded, span, direct; /* x must be copied; columns of a copied row; dy is read in place */
  int samples, rows, wide; /* of a block of pixels */
  intptr_t pitch;     /* floats of a row of x as it is read */
  float *x_copy, *dy_panels, *levels;
  intptr_t level;     /* floats of one level of the stack */
} WeightPlan;

/* A block of pixels: output rows y_from .. y_to-1 of the samples from .. to-1; or a part x_from .. x_to-1 of
   one such row */
typedef struct {
  int from, to, y_from, y_to, x_from, x_to;
  const float *x; /* where output column x_from begins to read in image row `first_row` of sample `from` */
  intptr_t x_sample;
  int first_row;
} PixelBlock;

INLINE const float *block_dy(const WeightPlan *p, const PixelBlock *b) {
  const intptr_t row = (intptr_t)b->from * p->a->outHeight + b->y_from;
  return p->dy + (row * p->a->outWidth + b->x_from) * p->a->filters;
}

static void load_pixels(const WeightPlan *p, PixelBlock *block) {
  const convWeightGradient_args *a = p->a;
  const intptr_t row = (intptr_t)a->width * a->channels, image = a->height * row;
  const int column = block->x_from * a->strideWidth - a->padLeft;
  block->first_row = 0;
  block->x = p->x + block->from * image + (intptr_t)column * a->channels;
  block->x_sample = image;
  if (p->padded) {
    /* the image rows that the kernel rows of the tiles at work meet */
    const int tap_from = p->tile_from / p->per_row, tap_to = (p->tile_to - 1) / p->per_row + 1;
    const int low = max_int(0, block->y_from * a->strideHeight - a->padTop + tap_from);
    const int high = min_int(a->height, (block->y_to - 1) * a->strideHeight - a->padTop + tap_to);
    block->first_row = low;
    block->x = p->x_copy;
    block->x_sample = max_int(0, high - low) * p->pitch;
    for (int r = block->from; r < block->to; r++) {
      for (int y = low; y < high; y++) {
        float *copy = p->x_copy + (r - block->from) * block->x_sample + (y - low) * p->pitch;
        copy_padded_row(copy, p->x + r * image + y * row, a->width, a->channels, column, p->span);
      }
    }
  }
  if (!p->direct) {
    const int count = (block->to - block->from) * (block->y_to - block->y_from) * (block->x_to - block->x_from);
    pack_block(p->dy_panels, block_dy(p, block) + p->column_from, a->filters, 0, count, p->column_to - p->column_from);
  }
}

/* Adds a block of pixels to all partial tiles of the leaf. */
static void add_pixels(const WeightPlan *p, const PixelBlock *block, int resume, float *leaf) {
  const convWeightGradient_args *a = p->a;
  const int rows = block->y_to - block->y_from, samples = block->to - block->from, wide = block->x_to - block->x_from;
  for (int n = p->column_from; n < p->column_to; n += TILE_COLUMNS) {
    const int width = min_int(TILE_COLUMNS, p->column_to - n), pitch = panel_pitch(width);
    const intptr_t ldb = p->direct ? a->filters : pitch;
    const float *panel = p->dy_panels + (intptr_t)(n - p->column_from) * samples * rows * wide;
    const float *b = p->direct ? block_dy(p, block) + n : panel;
    Tile tile = {
        .lda = (intptr_t)a->strideWidth * a->channels, .a1 = block->x_sample, .a2 = a->strideHeight * p->pitch,
        .ldb = ldb, .b1 = (p->direct ? a->outHeight : rows) * wide * ldb, .b2 = wide * ldb, .n1 = samples,
        .length = wide, .ldc = pitch, .columns = pitch, .resume = resume,
    };
    /* One pixel a sample: the inner run goes from sample to sample. dy is dense, so there ldb is that distance too. */
    if (rows * wide == 1) tile.n1 = 1, tile.length = samples, tile.lda = block->x_sample;
    for (int i = p->tile_from; i < p->tile_to; i++, leaf += STACK_LEVEL) {
      const int tap = i / p->per_row, m = piece(i % p->per_row, p->per_row, p->run);
      const int shift = tap - a->padTop; /* image row = output row * strideHeight + shift */
      const int y_from = max_int(block->y_from, shift < 0 ? ceil_div(-shift, a->strideHeight) : 0);
      const int y_to = min_int(block->y_to, shift < a->height ? ceil_div(a->height - shift, a->strideHeight) : 0);
      tile.n2 = max_int(0, y_to - y_from);
      tile.a = block->x + (y_from * a->strideHeight + shift - block->first_row) * p->pitch + m;
      tile.b = b + (y_from - block->y_from) * tile.b2;
      tile.c = leaf;
      run_tile(A_BY_COLUMNS, piece(i % p->per_row + 1, p->per_row, p->run) - m, &tile);
    }
  }
}

/* The leaf of one shard: its samples from .. to-1. */
static void add_shard(const WeightPlan *p, int from, int to, float *leaf) {
  const int high = p->a->outHeight, width = p->a->outWidth;
  if (from == to) zero_floats(leaf, (int)p->level);
  for (int r = from; r < to; r += p->samples) {
    for (int y = 0; y < high; y += p->rows) {
      for (int x = 0; x < width; x += p->wide) {
        PixelBlock block = {
            .from = r, .to = min_int(to, r + p->samples), .y_from = y, .y_to = min_int(high, y + p->rows),
            .x_from = x, .x_to = min_int(width, x + p->wide),
        };
        load_pixels(p, &block);
        add_pixels(p, &block, r + y + x > from, leaf);
      }
    }
  }
}

/* Writes record `j` of the block's nodes. */
static void write_node(const WeightPlan *p, const float *node, float *dw) {
  for (int n = p->column_from; n < p->column_to; n += TILE_COLUMNS) {
    const int width = min_int(TILE_COLUMNS, p->column_to - n), pitch = panel_pitch(width);
    for (int i = p->tile_from; i < p->tile_to; i++, node += STACK_LEVEL) {
      const int start = i / p->per_row * p->run;
      const int m = piece(i % p->per_row, p->per_row, p->run), end = piece(i % p->per_row + 1, p->per_row, p->run);
      for (int row = m; row < end; row++) {
        copy_floats(dw + (intptr_t)(start + row) * p->a->filters + n, node + (row - m) * pitch, width);
      }
    }
  }
}

static void weight_block(const Context *c, WeightPlan *p) {
  const StepTable *table = c->table;
  const int32_t *shard_rows = ints_at(c, table->shardRowsOffset), *merges = ints_at(c, table->mergesOffset);
  const int panels = ceil_div(p->column_to - p->column_from, TILE_COLUMNS);
  p->level = (intptr_t)panels * (p->tile_to - p->tile_from) * STACK_LEVEL;
  int depth = 0;
  for (int s = 0; s < table->shards; s++) {
    add_shard(p, shard_rows[s] * p->positions, shard_rows[s + 1] * p->positions, p->levels + depth * p->level);
    depth++;
    for (int merge = merges[s]; merge > 0; merge--) {
      depth--;
      float *left = p->levels + (depth - 1) * p->level, *right = left + p->level;
      for (intptr_t i = 0; i < p->level; i += VW) v_store(left + i, v_add(v_load(left + i), v_load(right + i)));
    }
  }
  for (int j = 0; j < depth; j++) {
    write_node(p, p->levels + j * p->level, at(c, p->a->dw) + j * (intptr_t)p->a->stride);
  }
}

/* Divides the scratch: a copy of x, panels of dy, the stack's levels. Returns how many partial tiles a level
   may have. */
static int plan_scratch(const Context *c, WeightPlan *p) {
  const convWeightGradient_args *a = p->a;
  const int image = a->outHeight * a->outWidth;
  p->wide = min_int(a->outWidth, 2 * PIXEL_BLOCK);
  if (p->padded) {
    const int fits = (PIXEL_COPY / (a->kernelHeight * a->channels) - a->kernelWidth) / a->strideWidth + 1;
    p->wide = max_int(1, min_int(p->wide, fits));
  }
  p->span = (p->wide - 1) * a->strideWidth + a->kernelWidth;
  if (p->padded) p->pitch = (intptr_t)p->span * a->channels;
  const int row = p->padded ? (int)p->pitch : 0;
  const int room = row ? PIXEL_COPY / row : a->outHeight; /* image rows that the copy may hold */
  p->rows = min_int(a->outHeight, max_int(1, PIXEL_BLOCK / a->outWidth));
  if (p->wide < a->outWidth) p->rows = 1;
  p->rows = min_int(p->rows, max_int(1, (room - a->kernelHeight) / a->strideHeight + 1));
  /* Several samples only where a block holds each of them whole: pixels ascend, and dy is read as one run. */
  p->samples = p->rows < a->outHeight || p->wide < a->outWidth ? 1 : max_int(1, PIXEL_BLOCK / image);
  if (row) p->samples = max_int(1, min_int(p->samples, room / a->height));
  const int rows_read = min_int(a->height, (p->rows - 1) * a->strideHeight + a->kernelHeight);
  const intptr_t copy = (intptr_t)p->samples * rows_read * row + VW;
  const intptr_t panels = (intptr_t)p->samples * p->rows * p->wide * WEIGHT_PANELS * TILE_COLUMNS;
  p->x_copy = c->scratch;
  p->dy_panels = p->x_copy + (copy + 15) / 16 * 16;
  p->levels = p->dy_panels + (p->direct ? 0 : panels);
  const int levels = tree_levels(ints_at(c, c->table->mergesOffset), c->table->shards);
  const intptr_t left = c->scratch + c->scratch_size - p->levels;
  return (int)min_int(WEIGHT_BLOCK, (int)(left / max_int(1, levels) / STACK_LEVEL));
}

/* dw of samples that are `positions` images each. Lanes divide the tiles of dw by rows or by panels of
   filters, whichever leaves the busiest lane less. */
static void weight_gradient(const Context *c, const convWeightGradient_args *a, int positions) {
  WeightPlan p = {
      .positions = positions,
      .a = a, .x = at(c, a->x), .dy = at(c, a->dy), .run = a->kernelWidth * a->channels,
      .per_row = ceil_div(a->kernelWidth * a->channels, TILE_ROWS), .direct = a->filters % VW == 0 && a->filters <= 256,
      .pitch = (intptr_t)a->width * a->channels,
  };
  p.padded = a->padLeft > 0 || (a->outWidth - 1) * a->strideWidth + a->kernelWidth - a->padLeft > a->width;
  const int capacity = plan_scratch(c, &p);
  const int tiles = a->kernelHeight * p.per_row, panels = ceil_div(a->filters, TILE_COLUMNS);
  const int64_t by_panels = (int64_t)ceil_div(panels, c->lanes) * tiles;
  const int split_panels = by_panels <= (int64_t)ceil_div(tiles, c->lanes) * panels;
  const int lane = c->lane, lanes = c->lanes;
  const int panel_from = split_panels ? piece(lane, lanes, panels) : 0;
  const int panel_to = split_panels ? piece(lane + 1, lanes, panels) : panels;
  const int tile_from = split_panels ? 0 : piece(lane, lanes, tiles);
  const int tile_to = split_panels ? tiles : piece(lane + 1, lanes, tiles);
  const int wide = max_int(1, min_int(min_int(WEIGHT_PANELS, panel_to - panel_from), capacity));
  const int high = max_int(1, capacity / wide);
  for (int panel = panel_from; panel < panel_to; panel += wide) {
    p.column_from = panel * TILE_COLUMNS;
    p.column_to = min_int(a->filters, min_int(panel_to, panel + wide) * TILE_COLUMNS);
    for (int tile = tile_from; tile < tile_to; tile += high) {
      p.tile_from = tile;
      p.tile_to = min_int(tile_to, tile + high);
      weight_block(c, &p);
    }
  }
}

static void kernel_convWeightGradient(const Context *c, const convWeightGradient_args *a) {
  const int positions = a->height * a->width;
  const int point = a->kernelHeight * a->kernelWidth * a->strideHeight * a->strideWidth == 1;
  if (!point || positions != a->outHeight * a->outWidth) {
    weight_gradient(c, a, 1);
    return;
  }
  /* 1 x 1, stride 1: every pixel is a sample of its own */
  convWeightGradient_args pixel = *a;
  pixel.height = pixel.width = pixel.outHeight = pixel.outWidth = 1;
  weight_gradient(c, &pixel, positions);
}
#endif
