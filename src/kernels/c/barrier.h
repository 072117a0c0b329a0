/* Where the lanes of a worker meet: a counter and a generation in the arena. Spin a little (the others are mostly a
   microsecond behind), then sleep on the generation, because lanes may be more than cores. Nothing is reset between
   runs. Not for lanes of different processes. */
#ifndef LOCKSTEP_BARRIER_H
#define LOCKSTEP_BARRIER_H
#include "context.h"

/* Words of the barrier, on cache lines of their own. */
enum { BARRIER_ARRIVED = 0, BARRIER_GENERATION = 16, BARRIER_SLEEPERS = 32, BARRIER_ABORT = 48 };

/* A sleeper looks this often whether another lane has failed (barrierAbortWord of step-table.ts). */
enum { ABORT_CHECK_MS = 100 };

#if defined(__wasm__)
enum { SPINS = 10000 }; /* 20 to 50 us */
INLINE void spin_pause(void) {}
INLINE void sleep_while_equal(int32_t *word, int32_t value) { __builtin_wasm_memory_atomic_wait32(word, value, ABORT_CHECK_MS * 1000000ll); }
INLINE void wake_all(int32_t *word) { __builtin_wasm_memory_atomic_notify(word, 0x7fffffff); }
#else
#if defined(__x86_64__)
enum { SPINS = 1500 };
INLINE void spin_pause(void) { __builtin_ia32_pause(); }
#elif defined(__aarch64__)
enum { SPINS = 3000 };
INLINE void spin_pause(void) { __asm__ volatile("isb" ::: "memory"); }
#else
enum { SPINS = 3000 };
INLINE void spin_pause(void) {}
#endif
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
INLINE void sleep_while_equal(int32_t *word, int32_t value) {
  struct timespec limit = {0, ABORT_CHECK_MS * 1000000l};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &limit, (void *)0, 0);
}
INLINE void wake_all(int32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, (void *)0, (void *)0, 0); }
#else
#include <sched.h>
INLINE void sleep_while_equal(int32_t *word, int32_t value) {
  (void)word, (void)value;
  sched_yield();
}
INLINE void wake_all(int32_t *word) { (void)word; }
#endif
#endif

static void kernel_barrier(const Context *c, const barrier_args *a) {
  (void)a;
  if (c->lanes < 2) return;
  int32_t *arrived = c->barrier + BARRIER_ARRIVED;
  int32_t *generation = c->barrier + BARRIER_GENERATION;
  int32_t *sleepers = c->barrier + BARRIER_SLEEPERS;
  int32_t *abort = c->barrier + BARRIER_ABORT;
  if (__atomic_load_n(abort, __ATOMIC_SEQ_CST)) return;
  int32_t now = __atomic_load_n(generation, __ATOMIC_SEQ_CST);
  if (__atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST) == c->lanes) {
    __atomic_store_n(arrived, 0, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(generation, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(sleepers, __ATOMIC_SEQ_CST) > 0) wake_all(generation);
    return;
  }
  for (int i = 0; i < SPINS; i++) {
    if (__atomic_load_n(generation, __ATOMIC_SEQ_CST) != now) return;
    spin_pause();
  }
  __atomic_add_fetch(sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(generation, __ATOMIC_SEQ_CST) == now && !__atomic_load_n(abort, __ATOMIC_SEQ_CST)) {
    sleep_while_equal(generation, now);
  }
  __atomic_sub_fetch(sleepers, 1, __ATOMIC_SEQ_CST);
}
#endif
