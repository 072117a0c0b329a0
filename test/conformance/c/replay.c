/* Runs recorded kernel calls and compares the arena byte for byte with what the recording machine had afterwards: how an
   instruction set that Node.js does not run on here is tested, under an emulator. See test/conformance/neon.test.ts.
   File: records of 6 words [words of the arena, words before, words after, from, to, table], then the words before and
   after. What lies behind the given words is 0. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
int JOIN(lockstep_run_, LOCKSTEP_ISA)(float *arena, int from, int to, int lane, int table);

static int is_nan(int32_t word) { return (word & 0x7fffffff) > 0x7f800000; }

/* The first word in which they differ, or -1. Any NaN equals any other: their bits are the processor's choice. */
static int difference(const int32_t *a, const int32_t *b, int count) {
  for (int i = 0; i < count; i++)
    if (a[i] != b[i] && !(is_nan(a[i]) && is_nan(b[i]))) return i;
  return -1;
}

int main(int argc, char **argv) {
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: replay RECORDING\n"), 2;
  int32_t head[6];
  int records = 0, wrong = 0;
  for (; fread(head, sizeof head, 1, file) == 1; records++) {
    int32_t *arena = aligned_alloc(64, (size_t)head[0] * 4), *after = calloc((size_t)head[2] + 1, 4);
    memset(arena, 0, (size_t)head[0] * 4);
    if (fread(arena, 4, (size_t)head[1], file) != (size_t)head[1]) return fprintf(stderr, "short file\n"), 2;
    if (fread(after, 4, (size_t)head[2], file) != (size_t)head[2]) return fprintf(stderr, "short file\n"), 2;
    int kernel = arena[head[3]];
    int bad = JOIN(lockstep_run_, LOCKSTEP_ISA)((float *)arena, head[3], head[4], 0, head[5]);
    int at = bad >= 0 ? bad : difference(arena, after, head[2]);
    if (at >= 0) wrong++, printf("record %d, kernel %d: differs at word %d\n", records, kernel, at);
    free(arena);
    free(after);
  }
  printf("%d records, %d wrong\n", records, wrong);
  return wrong > 0;
}
