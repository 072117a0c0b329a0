/* Dense layers, forward and input gradient: out[rows, columns] = a[rows, depth] . B, blocked for the caches.
   B is packed into panels block by block, transposed on the way where it is w^T. Lanes divide the columns or,
   where that is more even, the rows. */
#ifndef LOCKSTEP_GEMM_DENSE_H
#define LOCKSTEP_GEMM_DENSE_H
#include "gemm_pack.h"

#define DEPTH_BLOCK 512
#define PACKED_BLOCK (128*1024)
#define ROW_PITCH (DEPTH_BLOCK + 16) /* rows of A are copied to this pitch, which does not collide in a cache */
#define DENSE_SCRATCH (PACKED_BLOCK + TILE_ROWS * ROW_PITCH)

typedef struct {
  float *out;
  const float *a, *b, *bias, *mask;
  int rows, columns, depth, relu;
  int transposed; /* 1: b is [columns, depth], 0: b is [depth, columns] */
} Product;

typedef struct {
  int row_from, row_to, column_from, column_to;
} Region;

/* What this lane computes of rows x columns outputs: whole panels of columns, or rows, whichever leaves the
   busiest lane less. Packing one row (of the left operand) or one column (of the right one) weighs as so many
   outputs; lanes that divide the columns all pack the rows, and the other way round. */
static Region lane_region(const Context *c, int rows, int columns, int pack_row, int pack_column) {
  Region region = {0, rows, 0, columns};
  const int panels = ceil_div(columns, TILE_COLUMNS), lanes = c->lanes;
  const int64_t wide = (int64_t)ceil_div(panels, lanes) * TILE_COLUMNS, high = ceil_div(rows, lanes);
  const int64_t by_columns = wide * (rows + pack_column) + (int64_t)rows * pack_row;
  const int64_t by_rows = (int64_t)panels * TILE_COLUMNS * (high + pack_column) + high * pack_row;
  if (by_columns <= by_rows) {
    region.column_from = piece(c->lane, c->lanes, panels) * TILE_COLUMNS;
    region.column_to = min_int(columns, piece(c->lane + 1, c->lanes, panels) * TILE_COLUMNS);
  } else {
    region.row_from = piece(c->lane, c->lanes, rows);
    region.row_to = piece(c->lane + 1, c->lanes, rows);
  }
  return region;
}

/* The rows of a region times one packed block: depth k_from .. k_to-1, columns from .. to-1. */
static void product_block(const Product *p, const Region *region, int k_from, int k_to, int from, int to,
                          const float *packed, float *row_copy) {
  const int depth = k_to - k_from, rows = region->row_to - region->row_from, tiles = ceil_div(rows, TILE_ROWS);
  const int copy = to - from > 2 * TILE_COLUMNS;
  const int finish = k_to == p->depth;
  for (int i = 0; i < tiles; i++) {
    const int row = region->row_from + piece(i, tiles, rows);
    const int height = region->row_from + piece(i + 1, tiles, rows) - row;
    const float *a = p->a + (intptr_t)row * p->depth + k_from;
    if (copy) {
      for (int m = 0; m < height; m++) copy_floats(row_copy + m * ROW_PITCH, a + (intptr_t)m * p->depth, depth);
    }
    const int next_height = i + 1 < tiles ? region->row_from + piece(i + 2, tiles, rows) - row - height : 0;
    for (int n = from, next = 0; n < to; n += TILE_COLUMNS) {
      /* what comes next is asked for while this tile is computed: a part of the next rows, and the next
         outputs */
      const int next_to = (int)((int64_t)next_height * min_int(n + TILE_COLUMNS - from, to - from) / (to - from));
      for (; next < next_to; next++) prefetch_floats(a + (intptr_t)(height + next) * p->depth, depth);
      for (int m = 0; m < height && n + TILE_COLUMNS < to; m++) {
        prefetch_floats(p->out + (intptr_t)(row + m) * p->columns + n + TILE_COLUMNS, TILE_COLUMNS);
      }
      const intptr_t out = (intptr_t)row * p->columns + n;
      const int width = min_int(TILE_COLUMNS, to - n);
      const Tile tile = {
          .a = copy ? row_copy : a, .lda = copy ? ROW_PITCH : p->depth,
          .b = packed + (intptr_t)(n - from) * depth, .ldb = panel_pitch(width), .n1 = 1, .n2 = 1, .length = depth,
          .c = p->out + out, .ldc = p->columns, .columns = width, .resume = k_from > 0,
          .relu = finish && p->relu, .bias = finish && p->bias ? p->bias + n : 0,
          .mask = finish && p->mask ? p->mask + out : 0,
      };
      run_tile(A_BY_ROWS, height, &tile);
    }
  }
}

static void product(const Context *c, const Product *p) {
  const Region region = lane_region(c, p->rows, p->columns, 4, TILE_ROWS / 2);
  if (region.row_from >= region.row_to) return;
  const int blocks = max_int(1, ceil_div(p->depth, DEPTH_BLOCK));
  const int width = PACKED_BLOCK / DEPTH_BLOCK / TILE_COLUMNS * TILE_COLUMNS;
  float *row_copy = c->scratch, *packed = c->scratch + TILE_ROWS * ROW_PITCH;
  for (int from = region.column_from; from < region.column_to; from += width) {
    const int to = min_int(region.column_to, from + width);
    for (int block = 0; block < blocks; block++) {
      const int k = piece(block, blocks, p->depth), k_to = piece(block + 1, blocks, p->depth);
      const float *b = p->transposed ? p->b + (intptr_t)from * p->depth + k : p->b + (intptr_t)k * p->columns + from;
      pack_block(packed, b, p->transposed ? p->depth : p->columns, p->transposed, k_to - k, to - from);
      product_block(p, &region, k, k_to, from, to, packed, row_copy);
    }
  }
}

/* y[rows, outputs] = activation(x[rows, inputs] . w[inputs, outputs] + bias[outputs]) */
static void kernel_denseForward(const Context *c, const denseForward_args *a) {
  const Product p = {
      .out = at(c, a->y), .a = at(c, a->x), .b = at(c, a->w), .bias = at(c, a->bias), .rows = c->table->rows,
      .columns = a->outputs, .depth = a->inputs, .relu = a->activation,
  };
  product(c, &p);
}

/* dx[rows, inputs] = dy[rows, outputs] . w^T, 0 where the mask is not above 0 */
static void kernel_denseInputGradient(const Context *c, const denseInputGradient_args *a) {
  const Product p = {
      .out = at(c, a->dx), .a = at(c, a->dy), .b = at(c, a->w), .mask = at(c, a->mask), .rows = c->table->rows,
      .columns = a->inputs, .depth = a->outputs, .transposed = 1,
  };
  product(c, &p);
}
#endif
