/* The kernels with every load and store of a vector checked against AddressSanitizer's shadow. The compiler instruments
   plain vectors itself, but not the masked ones of AVX: v_load_first and v_store_first are checked by hand, for the n
   elements that they touch. Compiled in place of kernels.c. */
#include "simd.h"
#include <sanitizer/asan_interface.h>

/* A read of the first poisoned byte, so that the report names it and the kernel. */
static inline void check_floats(const float *p, int n) {
  const char *bad = __asan_region_is_poisoned((void *)(uintptr_t)p, (size_t)(n < VW ? n : VW) * sizeof *p);
  if (bad) (void)*(const volatile char *)bad;
}

#define v_load(p) (check_floats(p, VW), v_load(p))
#define v_store(p, a) (check_floats(p, VW), v_store(p, a))
#define v_load_first(p, n, rest) (check_floats(p, n), v_load_first(p, n, rest))
#define v_store_first(p, a, n) (check_floats(p, n), v_store_first(p, a, n))

#include "kernels.c"
