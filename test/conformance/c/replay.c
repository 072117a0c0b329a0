/* Runs recorded kernel calls and compares the arena byte for byte with what the recording machine had afterwards: how an
   instruction set that Node.js does not run on here is tested, under an emulator (neon.test.ts), and how memory is, under
   AddressSanitizer (sanitizers.test.ts): then every word but the operands' own and this lane's scratch is poisoned.
   File: records of 8 words [words of the arena, words before, words after, from, to, table, lane, regions], the bounds of
   the regions that the call may touch, then the words before and after. What lies behind the given words is 0; the scratch
   is NaN, so that a call which reads what it has not written there shows it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_ids.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(from, size) ((void)(from), (void)(size))
#define __asan_unpoison_memory_region(from, size) ((void)(from), (void)(size))
#endif

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
int JOIN(lockstep_run_, LOCKSTEP_ISA)(float *arena, int from, int to, int lane, int table);

#define NAME(name) #name,
static const char *const names[] = {FOR_EACH_KERNEL(NAME)};

enum { NOT_A_NUMBER = 0x7fc5afe5 };

static int is_nan(int32_t word) { return (word & 0x7fffffff) > 0x7f800000; }

/* The first word in which they differ, or -1. Any NaN equals any other: their bits are the processor's choice. */
static int difference(const int32_t *a, const int32_t *b, int count) {
  for (int i = 0; i < count; i++)
    if (a[i] != b[i] && !(is_nan(a[i]) && is_nan(b[i]))) return i;
  return -1;
}

static int32_t *read_words(FILE *file, int count) {
  int32_t *words = malloc((size_t)count * 4 + 4);
  if (!words || fread(words, 4, (size_t)count, file) != (size_t)count) fprintf(stderr, "short file\n"), exit(2);
  return words;
}

int main(int argc, char **argv) {
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: replay RECORDING\n"), 2;
  int32_t head[8], *arena = NULL;
  int records = 0, wrong = 0, room = 0, used = 0;
  for (; fread(head, sizeof head, 1, file) == 1; records++) {
    const int size = head[0], before = head[1], after = head[2], lane = head[6], regions = head[7];
    int32_t *bounds = read_words(file, 2 * regions), *words = read_words(file, before), *expected = read_words(file, after);
    if (size > room) {
      free(arena);
      arena = aligned_alloc(64, ((size_t)size * 4 + 63) / 64 * 64);
      memset(arena, 0, (size_t)size * 4);
      room = size;
    }
    memset(arena, 0, (size_t)used * 4);
    memcpy(arena, words, (size_t)before * 4);
    used = before > after ? before : after;
    const ArenaHeader *header = (const ArenaHeader *)words;
    int32_t *scratch = arena + header->scratchOffset + (int64_t)lane * header->scratchSize;
    for (int i = 0; i < header->scratchSize; i++) scratch[i] = NOT_A_NUMBER;
    const char *name = names[arena[head[3]]];
    /* The name of a call that is stopped by a sanitizer. */
    fprintf(stderr, "record %d: %s, lane %d of %d\n", records, name, lane, header->lanes);
    __asan_poison_memory_region(arena, (size_t)size * 4);
    for (int i = 0; i < regions; i++)
      __asan_unpoison_memory_region(arena + bounds[2 * i], (size_t)(bounds[2 * i + 1] - bounds[2 * i]) * 4);
    __asan_unpoison_memory_region(scratch, (size_t)header->scratchSize * 4);
    int bad = JOIN(lockstep_run_, LOCKSTEP_ISA)((float *)arena, head[3], head[4], lane, head[5]);
    __asan_unpoison_memory_region(arena, (size_t)size * 4);
    int at = bad >= 0 ? bad : difference(arena, expected, after);
    if (at >= 0) wrong++, printf("record %d, %s: differs at word %d\n", records, name, at);
    free(bounds), free(words), free(expected);
  }
  free(arena);
  printf("%d records, %d wrong\n", records, wrong);
  return wrong > 0;
}
