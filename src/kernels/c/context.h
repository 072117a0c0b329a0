/* What every kernel is given: the arena, this lane's place in it, and the step table. kernel_ids.h is generated from
   kernel-list.ts and step-table.ts (the argument structs, the kernels' indices, StepTable, ArenaHeader). */
#ifndef LOCKSTEP_CONTEXT_H
#define LOCKSTEP_CONTEXT_H
#include "kernel_ids.h"
#include "simd.h"

typedef struct {
  float *f;               /* the arena as floats */
  int32_t *i;             /* the same memory as int32 */
  const StepTable *table; /* fields as in step-table.ts */
  int lane, lanes;
  float *scratch; /* this lane's own, 64-byte aligned */
  int scratch_size; /* floats */
  int32_t *barrier; /* 64 words, shared by the lanes */
} Context;

/* A kernel: static void kernel_NAME(const Context *c, const NAME_args *a). Offsets below 0 are absent pointers. */
INLINE float *at(const Context *c, int32_t offset) { return offset < 0 ? (float *)0 : c->f + offset; }
INLINE const int32_t *ints_at(const Context *c, int32_t offset) { return c->i + offset; }

/* First row of this lane, and one past its last. */
INLINE int lane_rows_from(const Context *c) { return c->i[c->table->laneRowsOffset + c->lane]; }
INLINE int lane_rows_to(const Context *c) { return c->i[c->table->laneRowsOffset + c->lane + 1]; }

/* This lane's part of `count` equal items: from .. to-1. */
INLINE void lane_share(const Context *c, int count, int *from, int *to) {
  *from = (int)((int64_t)count * c->lane / c->lanes);
  *to = (int)((int64_t)count * (c->lane + 1) / c->lanes);
}
#endif
