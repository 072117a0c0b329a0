/* A true reduction, over the elements of one output: 16 virtual accumulators whatever the vector width, element i into
   accumulator i mod 16, folded in a fixed tree. */
#ifndef LOCKSTEP_SIXTEEN_H
#define LOCKSTEP_SIXTEEN_H
#include "simd.h"

typedef struct {
  vf part[16 / VW];
} Sixteen;

INLINE Sixteen sixteen_set1(float a) {
  Sixteen s;
  for (int j = 0; j < 16 / VW; j++) s.part[j] = v_set1(a);
  return s;
}

/* The body for elements i .. i+n-1, which belong to part[j]: whole sixteens with n = VW, then the tail. */
#define FOR_SIXTEENS(count, ...)                                             \
  do {                                                                       \
    int base_ = 0;                                                           \
    for (; base_ + 16 <= (count); base_ += 16)                               \
      for (int j = 0; j < 16 / VW; j++) {                                    \
        const int i = base_ + j * VW, n = VW;                                \
        __VA_ARGS__                                                          \
      }                                                                      \
    for (int j = 0; base_ + j * VW < (count); j++) {                         \
      const int i = base_ + j * VW, n = (count) - i < VW ? (count) - i : VW; \
      __VA_ARGS__                                                            \
    }                                                                        \
  } while (0)

INLINE float sixteen_sum(const Sixteen *s) {
  float a[16];
  for (int j = 0; j < 16 / VW; j++) v_store(a + j * VW, s->part[j]);
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; i++) a[i] = a[i] + a[i + step];
  return a[0];
}

INLINE float sixteen_max(const Sixteen *s) {
  float a[16];
  for (int j = 0; j < 16 / VW; j++) v_store(a + j * VW, s->part[j]);
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; i++) a[i] = a[i] > a[i + step] ? a[i] : a[i + step];
  return a[0];
}

#define MINUS_INFINITY (-__builtin_inff())

/* The largest of x[0 .. count) */
INLINE float largest(const float *x, int count) {
  Sixteen s = sixteen_set1(MINUS_INFINITY);
  FOR_SIXTEENS(count, s.part[j] = v_max(v_load_first(x + i, n, MINUS_INFINITY), s.part[j]););
  return sixteen_max(&s);
}
#endif
