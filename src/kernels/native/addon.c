/* The Node-API addon: for every instruction set that this build has and this processor can run, one function
   variants.<name>(arena: Int32Array, from, to, lane, table) -> -1, or the word of a bad instruction.
   Which one to use is decided in backend.ts. */
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

typedef int Run(float *arena, int from, int to, int lane, int table);

#if defined(__x86_64__)
Run lockstep_run_avx512, lockstep_run_avx2, lockstep_run_portable;
static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw");
}
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#elif defined(__aarch64__)
Run lockstep_run_neon, lockstep_run_portable;
#else
Run lockstep_run_portable;
#endif

static napi_value fail(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

static napi_value call(napi_env env, napi_callback_info info) {
  size_t count = 5, length;
  napi_value argument[5], result;
  void *run, *arena;
  int32_t number[4];
  napi_typedarray_type type;
  if (napi_get_cb_info(env, info, &count, argument, NULL, &run) != napi_ok || count < 5)
    return fail(env, "run(arena, from, to, lane, table): five arguments");
  if (napi_get_typedarray_info(env, argument[0], &type, &length, &arena, NULL, NULL) != napi_ok || type != napi_int32_array)
    return fail(env, "run: the arena is an Int32Array");
  for (int i = 0; i < 4; i++)
    if (napi_get_value_int32(env, argument[i + 1], &number[i]) != napi_ok || number[i] < 0 || (size_t)number[i] > length)
      return fail(env, "run: from, to, lane and table are words of the arena");
  int bad = ((Run *)run)(arena, number[0], number[1], number[2], number[3]);
  napi_create_int32(env, bad, &result);
  return result;
}

static void add(napi_env env, napi_value variants, const char *name, Run *run) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, (void *)run, &function) == napi_ok)
    napi_set_named_property(env, variants, name, function);
}

/* In the order of preference. */
NAPI_MODULE_INIT() {
  napi_value variants;
  napi_create_object(env, &variants);
#if defined(__x86_64__)
  if (has_avx512()) add(env, variants, "avx512", lockstep_run_avx512);
  if (has_avx2()) add(env, variants, "avx2", lockstep_run_avx2);
#elif defined(__aarch64__)
  add(env, variants, "neon", lockstep_run_neon);
#endif
  add(env, variants, "portable", lockstep_run_portable);
  napi_set_named_property(env, exports, "variants", variants);
  return exports;
}
