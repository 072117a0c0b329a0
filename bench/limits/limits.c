/* What this machine can do at best, for the benches to be measured against: fused multiply-adds a second in registers, and
   memory copied a second, by one thread and by two. Prints one JSON line a figure. No part of the product.
   Usage: limits fma | copy */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHAINS = 12, TURNS = 200000, BURSTS = 41, COPIES = 9, THREADS_MAX = 2 };
static const size_t copy_bytes = (size_t)64 << 20;

/* 12 chains hide a latency of 4 to 6 cycles at 2 instructions a cycle. `lanes` floats a vector; v = v * a + b stays finite. */
#define FMA_BURST(name, attribute, type, set, fma, lanes_)                                            \
  attribute __attribute__((noinline)) static float name(int turns) {                                  \
    type v[CHAINS], a = set(0.5f), b = set(0.25f);                                                    \
    for (int i = 0; i < CHAINS; i += 1) v[i] = set((float)i);                                         \
    for (int turn = 0; turn < turns; turn += 1) {                                                     \
      _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i += 1) v[i] = fma(v[i], a, b);            \
      __asm__ volatile("");                                                                           \
    }                                                                                                 \
    type sum = v[0];                                                                                  \
    for (int i = 1; i < CHAINS; i += 1) sum = fma(sum, a, v[i]);                                      \
    float out[lanes_];                                                                                \
    memcpy(out, &sum, sizeof out);                                                                    \
    return out[0];                                                                                    \
  }

#if defined(__x86_64__)
#include <immintrin.h>
FMA_BURST(burst_avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
FMA_BURST(burst_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)
FMA_BURST(burst_128, __attribute__((target("avx2,fma"))), __m128, _mm_set1_ps, _mm_fmadd_ps, 4)
#elif defined(__aarch64__)
#include <arm_neon.h>
static inline float32x4_t fma_neon(float32x4_t v, float32x4_t a, float32x4_t b) { return vfmaq_f32(b, v, a); }
FMA_BURST(burst_128, , float32x4_t, vdupq_n_f32, fma_neon, 4)
#endif

static double seconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

typedef struct {
  float (*burst)(int);
  int lanes;
  double gflops[BURSTS];
  char *from, *to;
  pthread_barrier_t *meet;
} Work;

static volatile float keep;

/* By the thread's own processor time: what other programs take does not count. */
static void *run_fma(void *argument) {
  Work *work = argument;
  keep = work->burst(TURNS);
  for (int i = 0; i < BURSTS; i += 1) {
    double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    keep = work->burst(TURNS);
    double took = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    work->gflops[i] = 2e-9 * CHAINS * work->lanes * (double)TURNS / took;
  }
  return NULL;
}

static void *run_copy(void *argument) {
  Work *work = argument;
  for (int i = 0; i < COPIES; i += 1) {
    pthread_barrier_wait(work->meet);
    memcpy(work->to, work->from, copy_bytes);
    pthread_barrier_wait(work->meet);
  }
  return NULL;
}

static int descending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

/* GFLOPS of one core while `threads` run: the tenth percentile of the bursts, by time. */
static void fma_peak(const char *isa, float (*burst)(int), int lanes, int threads) {
  static Work work[THREADS_MAX];
  pthread_t thread[THREADS_MAX];
  double sum = 0;
  for (int i = 0; i < threads; i += 1) {
    work[i].burst = burst;
    work[i].lanes = lanes;
    pthread_create(&thread[i], NULL, run_fma, &work[i]);
  }
  for (int i = 0; i < threads; i += 1) {
    pthread_join(thread[i], NULL);
    qsort(work[i].gflops, BURSTS, sizeof(double), descending);
    sum += work[i].gflops[BURSTS / 10];
  }
  printf("{\"limit\":\"fma\",\"isa\":\"%s\",\"threads\":%d,\"gflopsPerCore\":%.2f}\n", isa, threads, sum / threads);
}

/* Bytes copied a second (as many are read as written), all threads together, in the best round. */
static void copy_rate(int threads) {
  Work work[THREADS_MAX] = {{0}};
  pthread_t thread[THREADS_MAX];
  pthread_barrier_t meet;
  double best = 0;
  pthread_barrier_init(&meet, NULL, (unsigned)threads + 1);
  for (int i = 0; i < threads; i += 1) {
    work[i].meet = &meet;
    work[i].from = malloc(copy_bytes);
    work[i].to = malloc(copy_bytes);
    if (!work[i].from || !work[i].to) exit(1);
    memset(work[i].from, 1, copy_bytes);
    memset(work[i].to, 2, copy_bytes);
    pthread_create(&thread[i], NULL, run_copy, &work[i]);
  }
  for (int round = 0; round < COPIES; round += 1) {
    pthread_barrier_wait(&meet);
    double start = seconds(CLOCK_MONOTONIC);
    pthread_barrier_wait(&meet);
    double rate = (double)threads * (double)copy_bytes / (seconds(CLOCK_MONOTONIC) - start) / 1e9;
    if (rate > best) best = rate;
  }
  for (int i = 0; i < threads; i += 1) pthread_join(thread[i], NULL);
  printf("{\"limit\":\"copy\",\"threads\":%d,\"gigabytesPerSecond\":%.2f}\n", threads, best);
}

int main(int count, char **arguments) {
  int copy = count > 1 && strcmp(arguments[1], "copy") == 0;
  for (int threads = 1; threads <= THREADS_MAX; threads += 1) {
    if (copy) {
      copy_rate(threads);
      continue;
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) fma_peak("avx512", burst_avx512, 16, threads);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      fma_peak("avx2", burst_avx2, 8, threads);
      fma_peak("simd128", burst_128, 4, threads);
    }
#elif defined(__aarch64__)
    fma_peak("simd128", burst_128, 4, threads);
#endif
  }
  return 0;
}
