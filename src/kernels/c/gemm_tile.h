/* The register tile under every dense and convolution kernel: up to TILE_ROWS rows x TILE_VECTORS vectors of
   outputs, held in registers while k ascends, one fused multiply-add a term. What differs between kernels is
   only where the operands lie; which tile an output falls into never changes its bits.

     c[m][n] = finish(start + sum over k of A(m, k) * B(k, n))

   k runs over two outer loops and one inner run: i1 < n1, i2 < n2, j < length, in this order.
     A by rows:    A(m, k) = a[i1 * a1 + i2 * a2 + m * lda + j]
     A by columns: A(m, k) = a[i1 * a1 + i2 * a2 + j * lda + m]
     B:            B(k, n) = b[i1 * b1 + i2 * b2 + j * ldb + n], whole vectors readable

   Register budget: AVX-512 14 x 2 accumulators of 32 registers; AVX2 6 x 2 of 16; NEON 10 x 2 of 32;
   WebAssembly 4 x 2 of the 16 that V8 has on x64, where it needs some of them, and of the addresses, for
   itself (6 x 2 is half as fast). */
#ifndef LOCKSTEP_GEMM_TILE_H
#define LOCKSTEP_GEMM_TILE_H
#include "context.h"

#define TILE_VECTORS 2
#if defined(__AVX512F__)
#define TILE_ROWS 14
#define FOR_EACH_TILE_ROWS(X, V)                                                       \
  X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V) X(7, V) X(8, V) X(9, V) X(10, V)     \
  X(11, V) X(12, V) X(13, V) X(14, V)
#elif VW == 4 && defined(__aarch64__)
#define TILE_ROWS 10
#define FOR_EACH_TILE_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V) X(7, V) X(8, V) X(9, V) X(10, V)
#elif VW == 8
#define TILE_ROWS 6
#define FOR_EACH_TILE_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V)
#else
#define TILE_ROWS 4
#define FOR_EACH_TILE_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V)
#endif
#define TILE_COLUMNS (TILE_VECTORS * VW)

typedef struct {
  const float *a, *b;
  intptr_t lda, a1, a2, ldb, b1, b2;
  int n1, n2, length;
  float *c;
  intptr_t ldc;
  int columns;       /* of this tile, at most TILE_COLUMNS */
  int resume;        /* 1: start from what c holds, 0: from +0 */
  int relu;          /* finish: maximum with 0 */
  const float *bias; /* finish: [columns] added; or absent */
  const float *mask; /* finish: 0 where mask (laid out as c) is not above 0; or absent */
} Tile;

typedef enum { A_BY_ROWS, A_BY_COLUMNS } Layout;

/* Loops over rows and vectors of a tile; both bounds are constants where it is inlined. */
#define FOR_TILE for (int m = 0; m < rows; m++) UNROLL for (int v = 0; v < vectors; v++)

INLINE void tile_zero(const int rows, const int vectors, vf acc[TILE_ROWS][TILE_VECTORS]) {
  UNROLL FOR_TILE acc[m][v] = v_zero();
}

/* One term k: `a` points at A(0, k), `step` is the distance from row to row. */
INLINE void tile_term(const int rows, const int vectors, const float *a, intptr_t step, const float *b,
                      vf acc[TILE_ROWS][TILE_VECTORS]) {
  vf bv[TILE_VECTORS];
  UNROLL for (int v = 0; v < vectors; v++) bv[v] = v_load(b + v * VW);
  UNROLL for (int m = 0; m < rows; m++) {
    vf av = v_set1(a[m * step]);
    UNROLL for (int v = 0; v < vectors; v++) acc[m][v] = v_fma(av, bv[v], acc[m][v]);
  }
}

/* The terms of one inner run. Rows are addressed in groups of three, so that few address registers are
   needed. */
INLINE void tile_run(const int rows, const int vectors, const Layout layout, const float *a, intptr_t lda,
                     const float *b, intptr_t ldb, int length, vf acc[TILE_ROWS][TILE_VECTORS]) {
  if (layout == A_BY_COLUMNS) {
    for (int j = 0; j < length; j++, a += lda, b += ldb) tile_term(rows, vectors, a, 1, b, acc);
    return;
  }
  const float *group[(TILE_ROWS + 2) / 3];
  UNROLL for (int g = 0; g < (rows + 2) / 3; g++) group[g] = a + 3 * g * lda;
  for (int j = 0; j < length; j++, b += ldb) {
    vf bv[TILE_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) bv[v] = v_load(b + v * VW);
    UNROLL for (int m = 0; m < rows; m++) {
      vf av = v_set1(group[m / 3][(m % 3) * lda + j]);
      UNROLL for (int v = 0; v < vectors; v++) acc[m][v] = v_fma(av, bv[v], acc[m][v]);
    }
  }
}

INLINE void tile_load(const int rows, const int vectors, const float *c, intptr_t ldc, int columns,
                      vf acc[TILE_ROWS][TILE_VECTORS]) {
  if (columns == vectors * VW) {
    UNROLL FOR_TILE acc[m][v] = v_load(c + m * ldc + v * VW);
  } else {
    const int last = columns - (vectors - 1) * VW;
    UNROLL FOR_TILE {
      const float *from = c + m * ldc + v * VW;
      acc[m][v] = v < vectors - 1 ? v_load(from) : v_load_first(from, last, 0);
    }
  }
}

INLINE void tile_store(const int rows, const int vectors, float *c, intptr_t ldc, int columns,
                       vf acc[TILE_ROWS][TILE_VECTORS]) {
  if (columns == vectors * VW) {
    UNROLL FOR_TILE v_store(c + m * ldc + v * VW, acc[m][v]);
  } else {
    const int last = columns - (vectors - 1) * VW;
    UNROLL FOR_TILE {
      if (v < vectors - 1) v_store(c + m * ldc + v * VW, acc[m][v]);
      else v_store_first(c + m * ldc + v * VW, acc[m][v], last);
    }
  }
}

INLINE void tile_finish(const int rows, const int vectors, const Tile *t, vf acc[TILE_ROWS][TILE_VECTORS]) {
  const int last = t->columns - (vectors - 1) * VW;
  if (t->bias) {
    UNROLL for (int v = 0; v < vectors; v++) {
      vf bias = v < vectors - 1 ? v_load(t->bias + v * VW) : v_load_first(t->bias + v * VW, last, 0);
      UNROLL for (int m = 0; m < rows; m++) acc[m][v] = v_add(acc[m][v], bias);
    }
  }
  if (t->relu) {
    UNROLL FOR_TILE acc[m][v] = v_relu(acc[m][v]);
  }
  if (t->mask) {
    vf mask[TILE_ROWS][TILE_VECTORS];
    tile_load(rows, vectors, t->mask, t->ldc, t->columns, mask);
    UNROLL FOR_TILE acc[m][v] = v_where_positive(mask[m][v], acc[m][v]);
  }
}

INLINE void tile_compute(const int rows, const int vectors, const Layout layout, const Tile *t) {
  vf acc[TILE_ROWS][TILE_VECTORS];
  if (layout == A_BY_ROWS) {
    UNROLL FOR_TILE __builtin_prefetch(t->c + m * t->ldc + v * VW, 1);
    if (t->mask) UNROLL FOR_TILE __builtin_prefetch(t->mask + m * t->ldc + v * VW);
  }
  if (t->resume) tile_load(rows, vectors, t->c, t->ldc, t->columns, acc);
  else tile_zero(rows, vectors, acc);
  for (int i1 = 0; i1 < t->n1; i1++) {
    for (int i2 = 0; i2 < t->n2; i2++) {
      tile_run(rows, vectors, layout, t->a + i1 * t->a1 + i2 * t->a2, t->lda, t->b + i1 * t->b1 + i2 * t->b2, t->ldb,
               t->length, acc);
    }
  }
  if (layout == A_BY_ROWS) tile_finish(rows, vectors, t, acc);
  tile_store(rows, vectors, t->c, t->ldc, t->columns, acc);
}

#define DEFINE_TILE(ROWS, VECTORS)                                                                                     \
  static void tile_rows_##ROWS##x##VECTORS(const Tile *t) { tile_compute(ROWS, VECTORS, A_BY_ROWS, t); }               \
  static void tile_columns_##ROWS##x##VECTORS(const Tile *t) { tile_compute(ROWS, VECTORS, A_BY_COLUMNS, t); }
FOR_EACH_TILE_ROWS(DEFINE_TILE, 1)
FOR_EACH_TILE_ROWS(DEFINE_TILE, 2)

typedef void (*TileFunction)(const Tile *);
#define NAME_BY_ROWS(ROWS, VECTORS) tile_rows_##ROWS##x##VECTORS,
#define NAME_BY_COLUMNS(ROWS, VECTORS) tile_columns_##ROWS##x##VECTORS,
static const TileFunction tile_functions[2][TILE_VECTORS][TILE_ROWS] = {
    {{FOR_EACH_TILE_ROWS(NAME_BY_ROWS, 1)}, {FOR_EACH_TILE_ROWS(NAME_BY_ROWS, 2)}},
    {{FOR_EACH_TILE_ROWS(NAME_BY_COLUMNS, 1)}, {FOR_EACH_TILE_ROWS(NAME_BY_COLUMNS, 2)}},
};

INLINE int ceil_div(int a, int b) { return (a + b - 1) / b; }
INLINE int min_int(int a, int b) { return a < b ? a : b; }
INLINE int max_int(int a, int b) { return a > b ? a : b; }

/* Vectors that hold `columns` columns. */
INLINE int vectors_of(int columns) { return ceil_div(columns, VW); }

/* Computes the `rows` rows x t->columns outputs of one tile. A by rows finishes (bias, relu, mask), A by
   columns does not. */
INLINE void run_tile(Layout layout, int rows, const Tile *t) {
  tile_functions[layout][vectors_of(t->columns) - 1][rows - 1](t);
}

/* Piece i of `pieces` equal pieces of `count` starts here. */
INLINE int piece(int i, int pieces, int count) { return (int)((int64_t)i * count / pieces); }
#endif
