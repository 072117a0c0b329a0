/* Compares the dense and convolution kernels, as compiled for one instruction set, with their naive twins:
   every byte of the arena, over random and awkward sizes, shards, lanes and amounts of scratch. Prints one line;
   exits with 1 at the first difference, naming the case. Usage: linear_test [cases] [seed] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "linear.h"
#include "naive.h"

#define ARENA (3 << 20)
#define SCRATCH_MAX (1 << 20)
#define TENSORS 4096 /* words ahead of them: step table and its lists */

static float *arena, *expected, *scratch;
static int next_free, lanes, scratch_size;
static StepTable *table;
static uint32_t state = 1;

static uint32_t draw(uint32_t below) {
  state ^= state << 13, state ^= state >> 17, state ^= state << 5;
  return below ? (uint32_t)(((uint64_t)state * below) >> 32) : 0;
}

/* Sizes around every block: mostly small, often at the edge of a vector or tile. */
static int draw_size(int most) {
  static const int edges[] = {1,  2,  3,  5,  6,  7,  8,  9,  12, 13, 14, 15, 16,
                              17, 27, 28, 29, 31, 32, 33, 47, 64, 65, 97, 128};
  int size = draw(2) ? edges[draw(sizeof edges / sizeof *edges)] : 1 + (int)draw(most);
  return size > most ? 1 + (int)draw(most) : size;
}

static int tensor(int count) {
  int offset = next_free + 1 + draw(15);
  next_free = offset + count;
  if (next_free > ARENA) printf("arena too small\n"), exit(2);
  for (int i = 0; i < count; i++) arena[offset + i] = draw(8) ? (float)((int)draw(65536) - 32768) / 16384.0f : 0.0f;
  return offset;
}

static int split_of(int lo, int hi) {
  int half = 1;
  while (half * 2 < hi - lo) half *= 2;
  return lo + half;
}

/* Does node(lo, mid) stand left of node(mid, hi) in the tree over 0 .. shards-1? */
static int siblings(int lo, int mid, int hi, int shards) {
  int from = 0, to = shards;
  while (to - from > 1) {
    int split = split_of(from, to);
    if (from == lo && to == hi) return split == mid;
    if (hi <= split) to = split;
    else if (lo >= split) from = split;
    else return 0;
  }
  return 0;
}

static void draw_table(int most_rows) {
  memset(arena, 0, TENSORS * sizeof *arena);
  next_free = TENSORS;
  lanes = 1 + draw(3);
  scratch_size = draw(3) ? SCRATCH_MAX : 160 * 1024; /* the least that dense layers work with */
  int32_t *words = (int32_t *)arena;
  table = (StepTable *)(words + 64);
  const int run_shards = 1 + draw(12), first = draw(run_shards + 1), shards = draw(run_shards - first + 1);
  *table = (StepTable){.shards = shards, .firstShard = first, .laneRowsOffset = 128, .shardRowsOffset = 160,
                       .mergesOffset = 256};
  const int even = draw(2), each = draw(most_rows / 8 + 2);
  for (int s = 0; s < shards; s++) {
    words[160 + s + 1] = words[160 + s] + (even ? each : draw(3) ? (int)draw(most_rows / 4 + 2) : 0);
  }
  table->rows = words[160 + shards];
  for (int lane = 1; lane <= lanes; lane++) words[128 + lane] = words[160 + shards * lane / lanes];
  int lo[64], hi[64], depth = 0;
  for (int s = 0; s < shards; s++) {
    lo[depth] = first + s, hi[depth++] = first + s + 1;
    for (; depth > 1 && siblings(lo[depth - 2], lo[depth - 1], hi[depth - 1], run_shards); depth--) {
      hi[depth - 2] = hi[depth - 1];
      words[256 + s]++;
    }
  }
  table->nodes = depth;
}

typedef void (*Kernel)(const Context *, const void *);

static Context context(float *memory, int lane, int lane_count) {
  return (Context){.f = memory, .i = (int32_t *)memory, .table = (StepTable *)((int32_t *)memory + 64), .lane = lane,
                   .lanes = lane_count, .scratch = scratch, .scratch_size = scratch_size};
}

static void check(const char *name, Kernel kernel, Kernel naive, const void *args, int words, int by_rows) {
  memcpy(expected, arena, next_free * sizeof *arena);
  for (int lane = 0; lane < (by_rows ? lanes : 1); lane++) {
    Context c = context(expected, lane, by_rows ? lanes : 1);
    naive(&c, args);
  }
  for (int lane = 0; lane < lanes; lane++) {
    for (int i = 0; i < 4096; i++) scratch[draw(scratch_size)] = 1e30f;
    scratch[scratch_size] = 12345.0f;
    Context c = context(arena, lane, lanes);
    kernel(&c, args);
    if (scratch[scratch_size] != 12345.0f) printf("%s wrote beyond its scratch\n", name), exit(1);
  }
  if (memcmp(arena, expected, next_free * sizeof *arena) == 0) return;
  int i = 0;
  while (memcmp(arena + i, expected + i, sizeof *arena) == 0) i++;
  printf("%s differs at word %d: %.9g, expected %.9g; lanes %d, rows %d, shards %d, nodes %d, scratch %d, arguments", name, i,
         arena[i], expected[i], lanes, table->rows, table->shards, table->nodes, scratch_size);
  for (int w = 0; w < words; w++) printf(" %d", ((const int32_t *)args)[w]);
  printf("\n");
  exit(1);
}

#define CHECK(name, args, by_rows) \
  check(#name, (Kernel)(void *)kernel_##name, (Kernel)(void *)naive_##name, &args, sizeof args / 4, by_rows)

static void dense_case(void) {
  draw_table(40);
  const int inputs = draw(8) ? draw_size(150) : 1 + (int)draw(1200), outputs = draw_size(150), rows = table->rows;
  const int x = tensor(rows * inputs), dy = tensor(rows * outputs), w = tensor(inputs * outputs), bias = tensor(outputs);
  const denseForward_args forward = {tensor(rows * outputs), x, w, draw(2) ? bias : -1, inputs, outputs, draw(2)};
  CHECK(denseForward, forward, 0);
  const int mask = draw(2) ? tensor(rows * inputs) : -1;
  const denseInputGradient_args back = {tensor(rows * inputs), dy, w, mask, inputs, outputs};
  CHECK(denseInputGradient, back, 0);
  const denseInputGradient_args wide = {tensor(rows * outputs), x, w, -1, outputs, inputs};
  CHECK(denseInputGradient, wide, 0);
  const int stride = inputs * outputs + draw(9);
  const denseWeightGradient_args weight = {tensor(stride * table->nodes), stride, x, dy, inputs, outputs};
  if ((intptr_t)inputs * outputs * (table->nodes + 2) < SCRATCH_MAX) CHECK(denseWeightGradient, weight, 0);
}

static void sums_case(void) {
  draw_table(40);
  const int positions = 1 + draw(9), columns = draw_size(300), stride = columns + draw(9);
  const columnSums_args sums = {tensor(stride * table->nodes), stride, tensor(table->rows * positions * columns), positions,
                                columns};
  CHECK(columnSums, sums, 0);
}

/* Tight: little scratch, so that images are too wide to be copied in one piece, and a panel does not hold all
   k. The window arguments of all three kernels stand at the same place but one. */
static void conv_case(int tight) {
  const int point = draw(4) == 0; /* maps of 1 x 1, which a pooling net ends with: then many samples a shard */
  draw_table(tight ? 4 : point ? 600 : 10);
  const int rows = table->rows, channels = draw_size(tight ? 700 : 40), filters = draw_size(tight ? 5 : 40);
  const int kh = 1 + draw(4), kw = 1 + draw(4), sh = 1 + draw(4), sw = 1 + draw(4), top = draw(kh + 1), left = draw(kw + 1);
  /* down to windows larger than the image; the padding behind it at least completes one window */
  const int height = point ? 1 : 1 + draw(tight ? 6 : 13), width = point ? 1 : 1 + draw(tight ? 33 : 21);
  const int bottom = max_int(draw(kh), kh - height - top), right = max_int(draw(kw), kw - width - left);
  const int out_height = (height + top + bottom - kh) / sh + 1, out_width = (width + left + right - kw) / sw + 1;
  const int size = kh * kw * channels * filters;
  const int x = tensor(rows * height * width * channels), dy = tensor(rows * out_height * out_width * filters);
  const int w = tensor(size), bias = draw(2) ? tensor(filters) : -1;
#define WINDOW height, width, channels, kh, kw, sh, sw, top, left, out_height, out_width, filters
  if (tight) scratch_size = 2 * kh * kw * channels + 64 * TILE_COLUMNS + draw(40 * 1024);
  const convForward_args forward = {tensor(rows * out_height * out_width * filters), x, w, bias, WINDOW, draw(2)};
  CHECK(convForward, forward, 1);
  const int mask = draw(2) ? tensor(rows * height * width * channels) : -1;
  const convInputGradient_args back = {tensor(rows * height * width * channels), dy, w, mask, WINDOW};
  CHECK(convInputGradient, back, 1);
  const int stride = size + draw(9);
  const convWeightGradient_args weight = {tensor(stride * table->nodes), stride, x, dy, WINDOW};
  scratch_size = max_int(scratch_size, 160 * 1024);
  CHECK(convWeightGradient, weight, 0);
}

int main(int count, char **arguments) {
  const int cases = count > 1 ? atoi(arguments[1]) : 300;
  state = count > 2 ? (uint32_t)atoi(arguments[2]) | 1 : 1;
  arena = malloc(ARENA * sizeof *arena);
  expected = malloc(ARENA * sizeof *arena);
  scratch = aligned_alloc(64, (SCRATCH_MAX + 16) * sizeof *scratch);
  for (int i = 0; i < cases; i++) dense_case(), sums_case(), conv_case(0), conv_case(1);
  printf("%d cases of every kernel equal their naive twins\n", cases);
  return 0;
}
