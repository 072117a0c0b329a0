/* Sums over rows that end in the tree: the dense weight gradient and column sums. The tree over the worker's
   shards is a stack machine inside the tile loop, on partial tiles in the first-level cache, so each whole
   node is written once. */
#ifndef LOCKSTEP_GEMM_WEIGHT_H
#define LOCKSTEP_GEMM_WEIGHT_H
#include "conv_weight.h"
#include "gemm_dense.h"
#include "long_sums.h"

/* A tile of the weight gradient: a and b packed to exactly the tile's width, out at record 0. */
typedef struct {
  const float *a, *b;
  float *out;
  intptr_t ldc, stride;
  int columns, shards;
  const int32_t *shard_rows, *merges;
  float *stack; /* TILE_ROWS * TILE_COLUMNS floats a level */
} TreeTile;

/* Where shards are shorter than this, most of the time would go to the stack: with registers enough, tiles of
   half the height hold two sibling leaves at once and add them there. */
#define SHORT_SHARD (TILE_ROWS >= 10 ? 16 : 0)

INLINE void tree_tile_compute(const int rows, const int vectors, const TreeTile *t) {
  const intptr_t lda = rows, ldb = vectors * VW;
  vf acc[TILE_ROWS][TILE_VECTORS];
  int depth = 0;
  UNROLL FOR_TILE __builtin_prefetch(t->out + m * t->ldc + v * VW, 1);
  for (int s = 0; s < t->shards; s++) {
    const int from = t->shard_rows[s], to = t->shard_rows[s + 1];
    tile_zero(rows, vectors, acc);
    tile_run(rows, vectors, A_BY_COLUMNS, t->a + from * lda, lda, t->b + from * ldb, ldb, to - from, acc);
    int merges = t->merges[s];
    if (2 * rows <= TILE_ROWS && merges == 0 && s + 1 < t->shards && t->merges[s + 1] > 0) {
      vf right[TILE_ROWS][TILE_VECTORS];
      s++;
      tile_zero(rows, vectors, right);
      const int end = t->shard_rows[s + 1];
      tile_run(rows, vectors, A_BY_COLUMNS, t->a + to * lda, lda, t->b + to * ldb, ldb, end - to, right);
      UNROLL FOR_TILE acc[m][v] = v_add(acc[m][v], right[m][v]);
      merges = t->merges[s] - 1;
    }
    for (; merges > 0; merges--) {
      const float *left = t->stack + --depth * STACK_LEVEL;
      UNROLL FOR_TILE acc[m][v] = v_add(v_load(left + (m * vectors + v) * VW), acc[m][v]);
    }
    if (s == t->shards - 1) {
      tile_store(rows, vectors, t->out + depth * t->stride, t->ldc, t->columns, acc);
    } else {
      float *top = t->stack + depth++ * STACK_LEVEL;
      UNROLL FOR_TILE v_store(top + (m * vectors + v) * VW, acc[m][v]);
    }
  }
  for (int j = 0; j < depth; j++) {
    const float *record = t->stack + j * STACK_LEVEL;
    UNROLL FOR_TILE acc[m][v] = v_load(record + (m * vectors + v) * VW);
    tile_store(rows, vectors, t->out + j * t->stride, t->ldc, t->columns, acc);
  }
}

#define DEFINE_TREE_TILE(ROWS, VECTORS) \
  static void tree_tile_##ROWS##x##VECTORS(const TreeTile *t) { tree_tile_compute(ROWS, VECTORS, t); }
FOR_EACH_TILE_ROWS(DEFINE_TREE_TILE, 1)
FOR_EACH_TILE_ROWS(DEFINE_TREE_TILE, 2)

typedef void (*TreeTileFunction)(const TreeTile *);
#define NAME_TREE_TILE(ROWS, VECTORS) tree_tile_##ROWS##x##VECTORS,
static const TreeTileFunction tree_tile_functions[TILE_VECTORS][TILE_ROWS] = {
    {FOR_EACH_TILE_ROWS(NAME_TREE_TILE, 1)},
    {FOR_EACH_TILE_ROWS(NAME_TREE_TILE, 2)},
};

/* dw[inputs, outputs] = x^T . dy in the tree over shards. Lanes divide the outputs, or else the inputs. Where
   a panel of all rows does not fit the scratch, the convolution's kernel takes over: it blocks over rows too.
   */
static void kernel_denseWeightGradient(const Context *c, const denseWeightGradient_args *a) {
  const StepTable *table = c->table;
  const int rows = table->rows, inputs = a->inputs, outputs = a->outputs;
  const int32_t *merges = ints_at(c, table->mergesOffset);
  const int levels = tree_levels(merges, table->shards);
  const int64_t space = (int64_t)c->scratch_size - (int64_t)levels * STACK_LEVEL - (int64_t)rows * TILE_ROWS - 32;
  const int panels = rows > 0 ? (int)(space / ((int64_t)rows * TILE_COLUMNS)) : 1;
  if (space < 0 || panels < 1) {
    const convWeightGradient_args pixel = {
        .dw = a->dw, .stride = a->stride, .x = a->x, .dy = a->dy, .height = 1, .width = 1, .channels = inputs,
        .kernelHeight = 1, .kernelWidth = 1, .strideHeight = 1, .strideWidth = 1, .outHeight = 1, .outWidth = 1,
        .filters = outputs,
    };
    weight_gradient(c, &pixel, 1);
    return;
  }
  const Region region = lane_region(c, inputs, outputs, TILE_COLUMNS / 4, TILE_ROWS / 4);
  const int most = rows < SHORT_SHARD * table->shards ? max_int(1, TILE_ROWS / 2) : TILE_ROWS;
  const int height = region.row_to - region.row_from, tiles = ceil_div(height, most);
  const int block = min_int(panels, max_int(4, PACKED_BLOCK / max_int(rows * TILE_COLUMNS, 1))) * TILE_COLUMNS;
  float *stack = c->scratch, *a_panel = stack + levels * STACK_LEVEL;
  float *packed = a_panel + ((intptr_t)rows * TILE_ROWS + 31) / 16 * 16;
  const float *x = at(c, a->x), *dy = at(c, a->dy);
  for (int from = region.column_from; from < region.column_to; from += block) {
    const int to = min_int(region.column_to, from + block);
    pack_block(packed, dy + from, outputs, 0, rows, to - from);
    for (int i = 0; i < tiles; i++) {
      const int m = region.row_from + piece(i, tiles, height);
      const int width = region.row_from + piece(i + 1, tiles, height) - m;
      pack_columns(a_panel, x + m, inputs, rows, width);
      for (int n = from, next = 0; n < to; n += TILE_COLUMNS) {
        /* the next tile's rows are asked for while this one is computed */
        const int done = min_int(n + TILE_COLUMNS - from, to - from);
        const int next_to = i + 1 < tiles ? (int)((int64_t)rows * done / (to - from)) : 0;
        for (; next < next_to; next++) prefetch_floats(x + (intptr_t)next * inputs + m + width, TILE_ROWS);
        const int columns = min_int(TILE_COLUMNS, to - n);
        const TreeTile tile = {
            .a = a_panel, .b = packed + (intptr_t)(n - from) * rows,
            .out = at(c, a->dw) + (intptr_t)m * outputs + n, .ldc = outputs, .stride = a->stride, .columns = columns,
            .shards = table->shards, .shard_rows = ints_at(c, table->shardRowsOffset), .merges = merges, .stack = stack,
        };
        tree_tile_functions[vectors_of(columns) - 1][width - 1](&tile);
      }
    }
  }
}

#define SUM_COLUMNS 512 /* columns of which sums lie on the stack at once */

/* sum[columns] = sum of x[rows, ld] over rows, as long sums */
static void sum_columns(float *sum, const float *x, intptr_t ld, int64_t rows, int columns) {
  float rest[SUM_COLUMNS];
  if (rows == 0) zero_floats(sum, columns);
  for (int64_t from = 0; from < rows; from += LONG_BLOCK, x += LONG_BLOCK * ld) {
    const int count = long_block(rows - from);
#define STEP(column, vectors, n)                                                                           \
  do {                                                                                                     \
    vf part[vectors][ACCUMULATORS];                                                                        \
    for (int v = 0; v < vectors; v++) UNROLL for (int i = 0; i < ACCUMULATORS; i++) part[v][i] = v_zero(); \
    FOR_TERMS(count, UNROLL for (int v = 0; v < vectors; v++) part[v][a] =                                 \
                  v_add(part[v][a], v_load_first(x + t * ld + (column) + v * VW, n, 0)););                 \
    for (int v = 0; v < vectors; v++)                                                                      \
      add_block_at(sum + (column) + v * VW, rest + (column) + v * VW, fold_accumulators(part[v]), n, from == 0); \
  } while (0)
    FOR_COLUMN_GROUPS(columns, STEP);
#undef STEP
  }
  if (rows > 0) {
    FOR_VECTORS(0, columns, v_store_first(sum + i, v_add(v_load_first(sum + i, n, 0), v_load_first(rest + i, n, 0)), n););
  }
}

/* out[columns] = sum of x[rows * positions, columns] in the tree over shards; lanes divide the columns by
   vectors. */
static void kernel_columnSums(const Context *c, const columnSums_args *a) {
  const StepTable *table = c->table;
  const int32_t *shard_rows = ints_at(c, table->shardRowsOffset), *merges = ints_at(c, table->mergesOffset);
  float *out = at(c, a->out), *stack = c->scratch;
  int from, to;
  lane_share(c, vectors_of(a->columns), &from, &to);
  for (int column = from * VW; column < min_int(a->columns, to * VW); column += SUM_COLUMNS) {
    const int width = min_int(SUM_COLUMNS, min_int(a->columns, to * VW) - column);
    int depth = 0;
    for (int s = 0; s < table->shards; s++) {
      const int64_t first = (int64_t)shard_rows[s] * a->positions, end = (int64_t)shard_rows[s + 1] * a->positions;
      sum_columns(stack + depth++ * SUM_COLUMNS, at(c, a->x) + first * a->columns + column, a->columns, end - first, width);
      for (int merge = merges[s]; merge > 0; merge--) {
        float *left = stack + (--depth - 1) * SUM_COLUMNS;
        FOR_VECTORS(0, width, {
          v_store_first(left + i, v_add(v_load_first(left + i, n, 0), v_load_first(left + SUM_COLUMNS + i, n, 0)), n);
        });
      }
    }
    for (int j = 0; j < depth; j++) copy_floats(out + j * (intptr_t)a->stride + column, stack + j * SUM_COLUMNS, width);
  }
}
#endif
