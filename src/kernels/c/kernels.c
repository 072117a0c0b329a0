/* The one translation unit of the kernels, compiled once for every instruction set, and its one exported function:
   lockstep_run_<LOCKSTEP_ISA> (WebAssembly: lockstep_run). Freestanding: no libc but for the barrier's sleep. */
#include "context.h"

/* Never inlined into the switch below: a kernel keeps its registers to itself. */
#define DECLARE(name) static __attribute__((noinline)) void kernel_##name(const Context *c, const name##_args *a);
FOR_EACH_KERNEL(DECLARE)

#include "activations.h"
#include "barrier.h"
#include "elementwise.h"
#include "linear.h"
#include "losses.h"
#include "moments.h"
#include "normalize.h"
#include "optimizers.h"
#include "pooling.h"
#include "random.h"
#include "reductions.h"

#define KERNEL_ID(name) KERNEL_##name,
enum { FOR_EACH_KERNEL(KERNEL_ID) };

#define CASE(name) \
  case KERNEL_##name: kernel_##name(&c, (const name##_args *)(words + i + 2)); break;

#if defined(__wasm__)
#define RUN_NAME lockstep_run
#define EXPORT __attribute__((visibility("default"), export_name("lockstep_run")))
#else
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define RUN_NAME JOIN(lockstep_run_, LOCKSTEP_ISA)
#define EXPORT
#endif

/* Runs the instructions in words from .. to-1 of the arena as `lane`, under the step table at word `table`.
   Returns -1, or the word at which no instruction of this build stands. */
EXPORT int RUN_NAME(float *arena, int from, int to, int lane, int table) {
  const int32_t *words = (const int32_t *)arena;
  const ArenaHeader *header = (const ArenaHeader *)arena;
  Context c = {
      .f = arena,
      .i = (int32_t *)arena,
      .table = (const StepTable *)(words + table),
      .lane = lane,
      .lanes = header->lanes,
      .scratch = arena + header->scratchOffset + (int64_t)lane * header->scratchSize,
      .scratch_size = header->scratchSize,
      .barrier = (int32_t *)arena + header->barrierOffset,
  };
  for (int i = from; i < to; i += words[i + 1]) {
    if (words[i + 1] < 2) return i;
    switch (words[i]) {
      FOR_EACH_KERNEL(CASE)
      default: return i;
    }
  }
  return -1;
}
